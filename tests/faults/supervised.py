"""A supervisor with faults at its steps, and at those of its keeper, told what to do by lines on stdin.

    python supervised.py FOLDER

Each line is {"do": ..., "id": n} and gets one line of answer with that id, not always in order:

    enter               enter the supervisor; all else comes after it
    run                 start an app, wait for its end: {"ended": [returncode, reason]}
    listen              the same with an app that listens at a port
    begin               start an app that stays, "bystander": {"ended": null}
    probe               run a program in the bystander's world: {"ended": [returncode, reason]}
    lost                wait for the bystander's end
    leave               leave the supervisor, and end

An error of libos is the answer {"error": class, "text": ...}; anything else that is raised ends it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import trio
from injected import Page, install
from steps import STEPS

import libos
from libos.unwrap import unwrapped
from libos.worlds import keeping

ENTRY = """
import sys
sys.path[:0] = {path!r}
import injected
from libos.keeper import inside, outside
injected.install(injected.Page({page!r}), {steps!r})
outside.main(int(sys.argv[1]), int(sys.argv[2]))
"""
LISTENING = """
import socket
with socket.socket() as end:
    end.bind(("127.0.0.1", 8000))
    end.listen()
"""
NULL = subprocess.DEVNULL


def manifest(folder: str, *command: str, port: bool = True) -> dict[str, Any]:
    """A world with a bit of everything: what init mounts, what is served, a dial, and a port to hear of."""
    ports = [{"port": 8000, "publish": False}] if port else []
    return {
        "libos": 1,
        "include": ["python"],
        "app": {"command": list(command)},
        "mount": [
            {"at": "/work", "host": folder, "mode": "copy-on-write"},
            {"at": "/memory", "memory": "1M"},
            {"at": "/note", "text": "served"},
        ],
        "dial": [{"to": "tcp!127.0.0.1!9"}],
        "listen": ports,
    }


def inject(folder: str) -> None:
    """Exchange this process's functions, and have the keeper start with its own exchanged."""
    page = f"{folder}/page"
    install(Page(page), [step.function if step.process == "supervisor" else "" for step in STEPS])
    keepers = ["" if step.process == "supervisor" else step.function for step in STEPS]
    path = [str(Path(__file__).parent), str(Path(libos.__file__).parent.parent)]
    entry = Path(folder, "entry.py")
    entry.write_text(ENTRY.format(path=path, page=page, steps=keepers))
    keeping._ENTRY = str(entry)


class Supervised:
    """What the lines are about."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._supervisor = libos.Supervisor(spare=False)
        self._bystander: libos.App

    async def serve(self, lines: trio.MemoryReceiveChannel[dict[str, Any]]) -> None:
        """Do what each line says, several at a time; the supervisor is left when `lines` says so."""
        first = await lines.receive()
        async with unwrapped(), self._supervisor, trio.open_nursery() as nursery:
            tell(first["id"])
            async for line in lines:
                if line["do"] == "leave":
                    nursery.cancel_scope.cancel()
                    break
                nursery.start_soon(self._answer, line)
        tell(line["id"])

    async def _answer(self, line: dict[str, Any]) -> None:
        try:
            status = await getattr(self, line["do"])()
            tell(line["id"], ended=status and [status.returncode, status.reason])
        except libos.LibosError as error:
            tell(line["id"], error=type(error).__name__, text=str(error))

    async def run(self) -> libos.ExitStatus:
        app = await self._start("true")
        return await app.wait()

    async def listen(self) -> libos.ExitStatus:
        app = await self._start("python3", "-c", LISTENING)
        return await app.wait()

    async def begin(self) -> None:
        # Without a port: where an app listens is asked of its init in the background, after its start, and so
        # the bystander's could come to a step that was meant for the next world.
        self._bystander = await self._start("sleep", "1000", port=False)

    async def probe(self) -> libos.ExitStatus:
        process = await self._bystander.exec(["true"], stdin=NULL, stdout=NULL, stderr=NULL)
        return await process.wait()

    async def lost(self) -> libos.ExitStatus:
        return await self._bystander.wait()

    async def _start(self, *command: str, port: bool = True) -> libos.App:
        what = manifest(self._folder, *command, port=port)
        return await self._supervisor.start(what, stdin=NULL, stdout=NULL)


def tell(number: int, **what: object) -> None:
    """Answer a line."""
    print(json.dumps({"id": number, **what}), flush=True)


async def main(folder: str) -> None:
    send, receive = trio.open_memory_channel[dict[str, Any]](100)
    async with unwrapped(), trio.open_nursery() as nursery:
        nursery.start_soon(read, send)
        await Supervised(folder).serve(receive)
        nursery.cancel_scope.cancel()


async def read(send: trio.MemorySendChannel[dict[str, Any]]) -> None:
    """Pass the lines of stdin on."""
    async with send, trio.lowlevel.FdStream(0) as stdin:
        rest = b""
        async for data in stdin:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                await send.send(json.loads(line))


if __name__ == "__main__":
    inject(sys.argv[1])
    try:
        trio.run(main, sys.argv[1])
    except libos.LibosError as error:
        tell(-1, error=type(error).__name__, text=str(error))
        sys.exit(error.exit_status)
