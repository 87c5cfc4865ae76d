"""Scenes of worlds whose files are functions, run as an account of its own: `python scenes.py NAME`.

Each prints what its app wrote and what was told about it, as one JSON object.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import trio

import libos

files = libos.Files()
ended = trio.Event()
lines: list[str] = []
log = files.log("/log")


@files.stream("/ticks")
async def ticks() -> AsyncIterator[str]:
    try:
        for number in range(3):
            yield f"{number}\n"
            await trio.sleep(0.01)
        await trio.sleep_forever()
    finally:
        ended.set()


@files.sink("/out", by="line")
async def out(line: bytes) -> None:
    if line == b"bad":
        raise ValueError("a bad line")
    lines.append(line.decode())


@files.control("/ctl")
def ctl(command: str) -> str:
    return f"did {command}\n"


@files.directory("/users")
async def users() -> dict[str, str]:
    return {"ann": "1\n", "bob": "2\n"}


@files.symlink("/latest")
def latest() -> str:
    return "/users/bob"


@files.text("/slow", deadline=0.2)
async def slow() -> str:
    await trio.sleep_forever()
    return ""


POLLING = """
import os, select
epoll = select.epoll()
fd = os.open("/ticks", os.O_RDONLY)
epoll.register(fd, select.EPOLLIN)
got = b""
while got.count(b"\\n") < 3:
    assert epoll.poll(20) == [(fd, select.EPOLLIN)]
    got += os.read(fd, 100)
print(got.decode().split(), epoll.poll(0))
"""
KILLING = """
import os, signal, subprocess
waiting = subprocess.Popen(["cat", "/ticks"], stdout=subprocess.PIPE)
print([waiting.stdout.readline() for _ in range(3)])
waiting.kill()
print(waiting.wait())
"""
BEHIND = """
import os, time
fd = os.open("/ticks", os.O_RDONLY)
while not os.read(fd, 100).endswith(b"2\\n"): pass
def reader(place):
    child = os.fork()
    if not child:
        os.read(fd, 1)
        os._exit(0)
    while place not in open(f"/proc/{child}/wchan").read(): pass
    return child
first, second = reader("request_wait_answer"), reader("fdget_pos")
for child in (second, first):
    os.kill(child, 9)
    print(os.waitpid(child, 0)[1])
"""
ALL = """
grep -m1 2 /ticks; head -n1 /ticks; dd if=/ticks bs=2 count=1 status=none
coproc stdbuf -o0 tail -n +2 -f /ticks; read -u ${COPROC[0]} line; echo $line; kill $COPROC_PID
echo one > /out; seq 2 >> /out; echo bad > /out || echo refused
exec 3<>/ctl; echo this >&3; cat <&3
ls /users; cat /latest /users/ann
echo kept >> /log; cat /slow || echo late
"""
COMMANDS = {
    "polling": (["python3", "-c", POLLING], "python"),
    "killing": (["python3", "-c", KILLING], "python"),
    "behind": (["python3", "-c", BEHIND], "python"),
    "all": (["bash", "-c", ALL], "shell"),
    "leaving": (["cat", "/ticks"], "base"),
}


async def main(name: str) -> dict[str, Any]:
    """One scene."""
    command, profile = COMMANDS[name]
    told: list[Any] = []
    async with libos.Supervisor() as supervisor, trio.open_nursery() as nursery:
        await nursery.start(listen, supervisor, told)
        app = await supervisor.start(
            {"include": [profile], "app": {"command": command}}, files=files, stdout=subprocess.PIPE
        )
        assert app.stdout is not None
        if name == "leaving":
            assert await app.stdout.receive_some()
            nursery.cancel_scope.cancel()
        else:
            written = b"".join([chunk async for chunk in app.stdout])
            await app.wait()
            log.close()
            lines.extend([line.decode() async for line in log])
            nursery.cancel_scope.cancel()
    await ended.wait()
    written = b"" if name == "leaving" else written
    return {"out": written.decode(), "lines": lines, "told": told}


async def listen(supervisor: libos.Supervisor, told: list[Any], task_status: trio.TaskStatus[None]) -> None:
    """Keeps the faults."""
    async with supervisor.events() as events:
        task_status.started()
        async for event in events:
            if event.kind == "error":
                told.append([event.fields["path"], event.fields["reason"]])


if __name__ == "__main__":
    scene: Callable[[str], Awaitable[dict[str, Any]]] = main
    print(json.dumps(trio.run(scene, sys.argv[1])))
