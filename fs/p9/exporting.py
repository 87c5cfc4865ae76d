"""Serves a tree to whoever connects to a listening socket: exportfs(4) of Plan 9.

Each client has a connection of its own and fids of its own; what one does wrong, or waits for, is no other's
affair. CLIENTS are served at once: who comes then is hung up on.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

import trio

from libos.fs.node import Directory
from libos.fs.p9.server import serve

# Clients at once. Each may have frames.FRAME_MAX bytes and reading.FIDS files here.
CLIENTS = 64


async def export(
    root: Directory,
    listener: socket.socket,
    *,
    writable: bool = False,
    on_error: Callable[[str], None] = lambda why: None,
) -> None:
    """Until it is cancelled. `listener` listens already, and stays the caller's. `on_error` is told what a
    client did wrong."""
    here = 0

    async def answer(stream: trio.SocketStream) -> None:
        nonlocal here
        if here >= CLIENTS:
            on_error(f"{CLIENTS} clients are served already")
            await trio.aclose_forcefully(stream)
            return
        here += 1
        try:
            why = await serve(root, stream, writable=writable)
        finally:
            here -= 1
        if why is not None:
            on_error(why)

    listening = trio.socket.from_stdlib_socket(listener.dup())
    await trio.serve_listeners(answer, [trio.SocketListener(listening)])
