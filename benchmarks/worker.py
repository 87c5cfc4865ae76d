"""A worker (inside.py) and how it is asked: in a world, outside, or below another program's mount."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

import libos

INSIDE = Path(__file__).parent / "inside.py"
# The same interpreter in a world and outside: the one that the host's /usr has.
PYTHON = "/usr/bin/python3"


class Worker:
    """A running worker; `ask` is for one task at a time."""

    def __init__(self, stdin: Any, stdout: Any, app: libos.App | None = None, pid: int = 0) -> None:
        self.app = app
        self.pid = pid
        self._stdin = stdin
        self._stdout = stdout
        self._rest = b""

    async def ask(self, name: str, *arguments: object) -> float:
        """Have it call one of its functions; gives the answer."""
        await self.tell(name, *arguments)
        return await self.answer()

    async def tell(self, name: str, *arguments: object) -> None:
        """Have it call one of its functions, and do not wait: `answer` gives what comes back."""
        await self._stdin.send_all(json.dumps([name, *arguments]).encode() + b"\n")

    async def answer(self) -> float:
        """The answer to what it was told."""
        while b"\n" not in self._rest:
            chunk = await self._stdout.receive_some()
            if not chunk:
                raise RuntimeError("the worker ended before it answered")
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return float(json.loads(line))


@asynccontextmanager
async def outside(prefix: Sequence[str] = ()) -> AsyncIterator[Worker]:
    """A worker beside this program; `prefix` is a command that runs another one."""
    command = [*prefix, PYTHON, "-I", str(INSIDE)]
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Worker(process.stdin, process.stdout, pid=process.pid)
    finally:
        with trio.CancelScope(shield=True):
            await process.stdin.aclose()  # the worker's stdin ends, and it with it
            await process.wait()
            await process.stdout.aclose()


@asynccontextmanager
async def in_world(supervisor: libos.Supervisor, **more: Any) -> AsyncIterator[Worker]:
    """A worker in a world of the profile `python`; `more` are keys of a manifest, such as `dial`."""
    mounts = [{"at": "/inside.py", "host": str(INSIDE)}, *more.pop("mount", [])]
    command = [PYTHON, "-I", "/inside.py"]
    manifest = {"libos": 1, "include": ["python"], "app": {"command": command}, "mount": mounts, **more}
    app = await supervisor.start(manifest, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield Worker(app.stdin, app.stdout, app)
    finally:
        with trio.CancelScope(shield=True):
            await app.kill()
            await app.aclose()
