"""One way of a relay: from the socket that bytes come from to the one that they go to, in steps.

Rules:
- Steps are sync on purpose. One buffer serves all: it is filled and sent from in one step. Between a meter's
  leave and the bytes that pass nobody else runs, so that limits are exact.
- What a peer did not take is kept until it does, and nothing more is read from its source meanwhile:
  back-pressure.
- What is kept is bounded for the whole process. Beyond that, blocks are only looked at (MSG_PEEK), and what
  was sent is then taken out of the source's kernel buffer (MSG_TRUNC, tcp(7)): a fifth slower, no memory.
"""

from __future__ import annotations

import fcntl
import math
import socket
import sys
import termios

import trio

from libos.net.carried import Carried, Meter

# Bytes a block: measured on loopback, 256 KiB cost a quarter more CPU a byte, and 4 MiB brought a tenth.
_BLOCK = 1024 * 1024
# Bytes that all relays of this process may keep for peers that do not read.
_KEPT_AT_MOST = 16 * 1024 * 1024
_buffer = memoryview(bytearray(_BLOCK))
_kept = 0


class Direction:
    """One way of a relay. After a step one of these holds: it has `ended`, its sink is `full`, it is to go on
    `again` after others, bytes are `due` by the rate at a time of trio's clock, or the source is empty, and
    an edge tells when it is not."""

    def __init__(self, source: socket.socket, sink: socket.socket, carried: Carried, count: str) -> None:
        self.source = source
        self.sink = sink
        self.fd = source.fileno()
        self.ended = self.full = self.again = False
        # Whether the end of what comes may be there already: else a read of less than was asked for says that
        # the source is empty, as EAGAIN does (epoll(7)).
        self.hung = False
        self.due = math.inf
        self._carried = carried
        self._count = count
        self._tap = carried.tap if carried.tap is not None and count == "sent" else _NO_TAP
        self._rest: memoryview | None = None  # what the sink did not take yet
        self._kept = self._reserved = 0

    @property
    def reads(self) -> bool:
        """Whether it is to look at its source when that has something."""
        return not self.ended and not self.full and self.due == math.inf

    def step(self, left: int) -> None:
        """Carry at most so many bytes. Raises OSError."""
        self.again = False
        self.due = math.inf
        if self._rest is not None and not self._finished(self._rest):
            return
        self.full = False
        while left > 0:
            size = self._block(min(_BLOCK, left))
            if not size:
                return
            left -= size
        self.again = True

    def give_back(self) -> None:
        """What it holds of what all share; it is not used any more."""
        self._keep(0)
        if self._reserved and self._carried.meter is not None:
            self._carried.meter.reserve(self._count, -self._reserved)
            self._reserved = 0

    def _block(self, block: int) -> int:
        """Carry so many bytes at most, and give how many; 0 where the step ends here."""
        meter = self._carried.meter
        most = block if meter is None else self._allowed(meter, block)
        if self.due != math.inf:
            return 0
        peek = _kept >= _KEPT_AT_MOST
        try:
            size = self.source.recv_into(_buffer, max(1, most), socket.MSG_PEEK if peek else 0)
        except BlockingIOError:
            return 0
        if size == 0:
            self.ended = True
            return 0
        self._tap.look(_buffer[:size])
        if peek and size <= most:
            size = self._send_some(size, most)
        if size == 0:
            self.full = True
            return 0
        if meter is not None:
            meter.take(self._count, size)
        self._tap.passed(_buffer[:size])
        if peek:
            self._passed(size)
            return size
        if not self._send(_buffer[:size]) or (size < most and not self.hung):
            return 0
        return size

    def _allowed(self, meter: Meter, block: int) -> int:
        """How many bytes of a block may be read now, by the totals and, once it is their turn, by the rate:
        of what is there, or one, since only reading tells an end of file from silence. Or `due` says when."""
        most = meter.block(block, self._count)
        if not meter.paced:
            return most
        wanted = self._reserved
        if not wanted:
            wanted = min(most, _pending(self.source))
            if not wanted:
                return min(most, 1)
            pause = meter.reserve(self._count, wanted)
            if pause:
                self._reserved = wanted
                self.due = trio.current_time() + pause
                return 0
        allowed = min(wanted, meter.block(wanted, self._count))  # others may have passed meanwhile
        meter.reserve(self._count, allowed - wanted)
        self._reserved = 0
        return allowed

    def _send(self, data: memoryview) -> bool:
        """Send, and keep what the sink does not take; whether it took all."""
        try:
            sent = self.sink.send(data)
        except BlockingIOError:
            sent = 0
        self._passed(sent)
        if sent == len(data):
            return True
        self._rest = memoryview(bytes(data[sent:]))
        self._keep(len(self._rest))
        self.full = True
        return False

    def _finished(self, rest: memoryview) -> bool:
        """Send of what is kept as much as the sink takes now; whether that was all."""
        try:
            while rest:
                sent = self.sink.send(rest)
                self._passed(sent)
                self._rest = rest = rest[sent:]
        except BlockingIOError:
            return False
        self._rest = None
        self._keep(0)
        return True

    def _send_some(self, size: int, most: int) -> int:
        """Send of what was only looked at as much as the sink takes now, and take that out of the source; 0
        where it takes nothing. Of the `most` bytes that may pass the others were not needed."""
        try:
            sent = self.sink.send(_buffer[:size])
        except BlockingIOError:
            sent = 0
        if sent:
            self.source.recv_into(_buffer, sent, socket.MSG_TRUNC)
        meter = self._carried.meter
        if meter is not None and meter.paced:
            meter.reserve(self._count, sent - most)
        return sent

    def _passed(self, size: int) -> None:
        if self._count == "sent":
            self._carried.sent += size
        else:
            self._carried.received += size

    def _keep(self, size: int) -> None:
        global _kept  # noqa: PLW0603 - one count for the process, on the trio thread alone
        _kept += size - self._kept
        self._kept = size


class _NoTap:
    """Lets everything pass."""

    def look(self, data: memoryview) -> None:
        pass

    def passed(self, data: memoryview) -> None:
        pass


_NO_TAP = _NoTap()


def _pending(source: socket.socket) -> int:
    """Bytes that can be read now: tcp(7), SIOCINQ."""
    return int.from_bytes(fcntl.ioctl(source, termios.FIONREAD, bytes(4)), sys.byteorder)
