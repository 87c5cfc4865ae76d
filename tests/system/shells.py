"""A world whose shell answers one line at a time, while its view changes."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import libos


class Shell:
    """A shell in a world, which is told one line after another."""

    def __init__(self, app: libos.App) -> None:
        self.app = app

    async def do(self, line: str) -> str:
        """What the line prints, errors too."""
        assert self.app.stdin is not None
        assert self.app.stdout is not None
        await self.app.stdin.send_all(f"{line}\necho :end\n".encode())
        said = b""
        while not said.endswith(b":end\n"):
            more = await self.app.stdout.receive_some()
            assert more, said
            said += more
        return said.decode().removesuffix(":end\n")


@asynccontextmanager
async def shell(supervisor: libos.Supervisor, *mounts: dict[str, Any]) -> AsyncIterator[Shell]:
    """A shell in a world of its own."""
    manifest = {"include": ["base"], "app": {"command": ["sh"]}, "mount": list(mounts)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    app = await supervisor.start(manifest, **pipes)  # type: ignore[arg-type]  # the two constants are ints
    yield Shell(app)
    await app.kill()
    await app.aclose()
