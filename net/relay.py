"""Carries the bytes of one TCP connection between a socket inside a world and one outside.

Rules:
- Nothing is held here. A block is looked at in the source's kernel buffer (MSG_PEEK), sent, and only what
  was sent is taken out of the source (MSG_TRUNC, which drops without copying: tcp(7)). So a peer that
  stops reading costs kernel buffers alone, and closes its source's window: back-pressure with no memory of
  ours.
- One buffer serves all relays: no checkpoint between filling it and sending from it.
- Each direction ends by itself (half-close); a reset on either side resets the other; cancellation resets
  both.
- A task waits only when the kernel says EAGAIN, and gives way to others each 16 blocks.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

import trio

from libos.net.sockets import abort

# Bytes a block: at 64 KiB the system calls cost more, above 256 KiB the block no longer stays in the CPU's
# cache.
_BLOCK = 256 * 1024
# Blocks that one direction carries before other tasks run: about 2 ms.
_TURN = 16
_buffer = memoryview(bytearray(_BLOCK))


@dataclass
class Carried:
    """Bytes that were carried so far, seen from the world: `sent` went out of it, `received` came in."""

    sent: int = 0
    received: int = 0


async def relay(inside: socket.socket, outside: socket.socket, carried: Carried) -> None:
    """Carry bytes both ways until both directions have ended; closes both sockets on every way out.

    Both must be connected and non-blocking. `carried` is kept up to date. Raises OSError (ECONNRESET, EPIPE,
    ETIMEDOUT, …) where a side failed; both sides have then been reset, as they are when this is cancelled.
    """
    failures: list[OSError] = []

    async def direction(source: socket.socket, sink: socket.socket, count: str) -> None:
        try:
            await _carry(source, sink, carried, count)
        except OSError as error:
            failures.append(error)
            nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(direction, outside, inside, "received")
            await direction(inside, outside, "sent")
        if failures:
            raise failures[0]
    except BaseException:
        abort(inside)
        abort(outside)
        raise
    inside.close()
    outside.close()


async def _carry(source: socket.socket, sink: socket.socket, carried: Carried, count: str) -> None:
    total = blocks = 0
    while True:
        try:
            size = source.recv_into(_buffer, _BLOCK, socket.MSG_PEEK)
        except BlockingIOError:
            await trio.lowlevel.wait_readable(source)
            continue
        if size == 0:
            sink.shutdown(socket.SHUT_WR)
            return
        try:
            size = sink.send(_buffer[:size])
        except BlockingIOError:
            await trio.lowlevel.wait_writable(sink)
            continue
        source.recv_into(_buffer, size, socket.MSG_TRUNC)
        total += size
        setattr(carried, count, total)
        blocks += 1
        if blocks % _TURN == 0:
            await trio.lowlevel.checkpoint()
