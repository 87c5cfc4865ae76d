"""Carries the bytes of one TCP connection between a socket inside a world and one outside.

Rules:
- One buffer serves all relays: no checkpoint between filling it and sending from it. What a peer did not take
  is kept until it does, and nothing more is read from its source meanwhile: back-pressure.
- What is kept is bounded for the whole process. Beyond that, blocks are only looked at (MSG_PEEK), and what
  was sent is then taken out of the source's kernel buffer (MSG_TRUNC, tcp(7)): a fifth slower, no memory.
- Each direction ends by itself (half-close); a reset on either side resets the other. Cancellation resets
  both, but not an outside that was sent the world's end of file: what is on its way there still arrives.
- A task waits only when the kernel says EAGAIN, or for its turn by a meter's rate, and gives way to others
  each few blocks (`turns`). Between a meter's leave and the bytes that pass there is no checkpoint: limits
  are exact.
"""

from __future__ import annotations

import fcntl
import socket
import sys
import termios
from dataclasses import dataclass, field
from typing import Protocol

import trio

from libos.net.sockets import abort
from libos.net.turns import turns

# Bytes a block: measured on loopback, 256 KiB cost a quarter more CPU a byte, and 4 MiB brought a tenth.
_BLOCK = 1024 * 1024
# Bytes that all relays of this process may keep for peers that do not read.
_KEPT_AT_MOST = 16 * 1024 * 1024
_buffer = memoryview(bytearray(_BLOCK))
_kept = 0


class Meter(Protocol):
    """Counts what is carried, and holds it to limits; see `libos.net.granting.meter`."""

    @property
    def paced(self) -> bool:
        """Whether bytes have to wait for their turn."""

    def block(self, most: int, direction: str) -> int:
        """Bytes that may be read at once, of at most `most`; 0 where none may pass any more."""

    def reserve(self, direction: str, size: int) -> float:
        """Seconds until so many bytes may pass; a negative size gives back what was reserved."""

    def take(self, direction: str, size: int) -> None:
        """Count bytes that pass. Raises OSError where they must not."""


class Tap(Protocol):
    """Looks at bytes that are about to go out; see `libos.net.http.secrets`."""

    def look(self, data: memoryview) -> None:
        """Judge the next bytes. Raises OSError where they must not pass."""

    def passed(self, data: memoryview) -> None:
        """So many of them have passed."""


@dataclass(eq=False)
class Carried:
    """Bytes that were carried so far, seen from the world: `sent` went out of it, `received` came in.

    `all_sent` is set when the world has ended its side and all that came before is on its way outside.
    `meter` counts them for a grant, and may end the relay or slow it down; `tap` looks at what goes out.
    """

    sent: int = 0
    received: int = 0
    meter: Meter | None = None
    tap: Tap | None = None
    all_sent: trio.Event = field(default_factory=trio.Event)


async def relay(inside: socket.socket, outside: socket.socket, carried: Carried) -> None:
    """Carry bytes both ways until both directions have ended; closes both sockets on every way out.

    Both must be connected and non-blocking. `carried` is kept up to date. Raises OSError (ECONNRESET, EPIPE,
    ETIMEDOUT, …) where a side failed; both sides have then been reset.
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
            carried.all_sent.set()
        if failures:
            raise failures[0]
    except OSError:
        abort(inside)
        abort(outside)
        raise
    except BaseException:
        abort(inside)
        if not carried.all_sent.is_set():
            abort(outside)
        raise
    finally:
        inside.close()
        outside.close()


async def _carry(source: socket.socket, sink: socket.socket, carried: Carried, count: str) -> None:
    total = 0
    meter = carried.meter
    turn = turns()
    left = turn.begin()
    tap = _tap(carried, count)
    while True:
        block = min(_BLOCK, left)
        most = block if meter is None else await _allowed(source, meter, count, block)
        peek = _kept >= _KEPT_AT_MOST
        try:
            size = source.recv_into(_buffer, max(1, most), socket.MSG_PEEK if peek else 0)
        except BlockingIOError:
            await trio.lowlevel.wait_readable(source)
            left = turn.begin()
            continue
        if size == 0:
            sink.shutdown(socket.SHUT_WR)
            return
        tap.look(_buffer[:size])
        if peek and size <= most:
            size = _send_some(source, sink, size)
            if meter is not None and meter.paced:
                meter.reserve(count, size - most)
        if size == 0:
            await trio.lowlevel.wait_writable(sink)
            left = turn.begin()
            continue
        if meter is not None:
            meter.take(count, size)
        tap.passed(_buffer[:size])
        if not peek:
            await _send_all(sink, size)
        total += size
        setattr(carried, count, total)
        turn.spend(size)
        left -= size
        if left <= 0:
            await trio.lowlevel.checkpoint()
            left = turn.begin()


class _NoTap:
    """Lets everything pass."""

    def look(self, data: memoryview) -> None:
        pass

    def passed(self, data: memoryview) -> None:
        pass


_NO_TAP = _NoTap()


def _tap(carried: Carried, count: str) -> Tap:
    return carried.tap if carried.tap is not None and count == "sent" else _NO_TAP


async def _allowed(source: socket.socket, meter: Meter, count: str, block: int) -> int:
    """How many bytes of a block may be read now, by the totals and, once it is their turn, by the rate."""
    most = meter.block(block, count)
    return await _turn(source, meter, count, most) if meter.paced else most


async def _turn(source: socket.socket, meter: Meter, count: str, most: int) -> int:
    """Wait until bytes that are there may pass, and give how many may be read now; they are reserved. Where
    none are there it is one, since only reading tells an end of file from silence."""
    wanted = min(most, _pending(source))
    if not wanted:
        return min(most, 1)
    pause = meter.reserve(count, wanted)
    try:
        if pause:
            await trio.sleep(pause)
        allowed = min(wanted, meter.block(wanted, count))  # others have passed meanwhile
    except BaseException:
        meter.reserve(count, -wanted)
        raise
    meter.reserve(count, allowed - wanted)
    return allowed


def _pending(source: socket.socket) -> int:
    """Bytes that can be read now: tcp(7), SIOCINQ."""
    return int.from_bytes(fcntl.ioctl(source, termios.FIONREAD, bytes(4)), sys.byteorder)


def _send_some(source: socket.socket, sink: socket.socket, size: int) -> int:
    """Send of what was only looked at as much as the sink takes now, and take that out of the source; 0 where
    it takes nothing. Sync on purpose: what was allowed to pass is still what passes."""
    try:
        sent = sink.send(_buffer[:size])
    except BlockingIOError:
        return 0
    return source.recv_into(_buffer, sent, socket.MSG_TRUNC)


async def _send_all(sink: socket.socket, size: int) -> None:
    """Send what stands in the buffer. No checkpoint where the sink takes all of it."""
    try:
        sent = sink.send(_buffer[:size])
    except BlockingIOError:
        sent = 0
    if sent < size:
        await _finish(sink, bytes(_buffer[sent:size]))


async def _finish(sink: socket.socket, rest: bytes) -> None:
    """Send what a peer did not take at once, as it takes it."""
    global _kept  # noqa: PLW0603 - one count for the process, on the trio thread alone
    _kept += len(rest)
    try:
        waiting = memoryview(rest)
        while waiting:
            await trio.lowlevel.wait_writable(sink)
            try:
                waiting = waiting[sink.send(waiting) :]
            except BlockingIOError:
                pass
    finally:
        _kept -= len(rest)
