"""Waiting until a world of a stack is ready.

Rules:
- A port is waited for by the state of its sockets, a line by the output itself. A file and a command are
  asked for again after a pause that grows, since nothing tells of them.
- All of them end with the world: who waits is cancelled then.
"""

from __future__ import annotations

import subprocess
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from libos.app import App
from libos.errors import CommandError
from libos.stack.model import Ready

# Seconds between two looks: what a person does not notice, up to what costs nothing.
_FIRST, _MOST = 0.02, 0.5


async def wait_ready(app: App, ready: Ready | None, line_seen: trio.Event) -> None:
    """Return once the app is ready; at once where nothing was asked for. The caller sets the time limit."""
    if ready is None:
        return
    if ready.port is not None:
        await app.wait_listening(ready.port)
    elif ready.file is not None:
        await _until(partial(app.exists, ready.file))
    elif ready.line is not None:
        await line_seen.wait()
    elif ready.command is not None:
        await _until(partial(_succeeds, app, ready.command))


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    pause = _FIRST
    while not await holds():
        await trio.sleep(pause)
        pause = min(_MOST, pause * 1.5)


async def _succeeds(app: App, command: tuple[str, ...]) -> bool:
    nowhere = subprocess.DEVNULL
    try:
        process = await app.exec(command, stdin=nowhere, stdout=nowhere, stderr=nowhere)
    except CommandError:
        return False
    try:
        return (await process.wait()).returncode == 0
    finally:
        await process.aclose()
