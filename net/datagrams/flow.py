"""One flow: what one socket of the app sends to one granted address, and what comes back.

Rules:
- Outside it is a connected socket of its own: only what was asked can answer, and answers go in from the
  address that the app has sent to.
- Nothing is kept for a side that does not read: what a socket does not take is dropped, as UDP does. What the
  app sends before the outside is there, or faster than the grant's rate, waits: at most 64 datagrams a flow
  and 4 MiB in all worlds of this process.
- A refusal outside (ICMP) is a refusal inside, told once a flow; the flow stays, as the app may try again.
- It ends when nothing has passed for a while: RFC 4787, REQ-5 and REQ-6.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable

import trio

from libos.net.address import Address
from libos.net.carried import Carried
from libos.net.granting.dialed import Check
from libos.net.inbound.datagrams import LARGEST, Datagrams, Peer

# Seconds: RFC 4787, REQ-5, wants two minutes; what was never answered is a question that nobody heard.
UNANSWERED_SECONDS, ANSWERED_SECONDS = 60.0, 120.0
_MOST_WAITING = 64
_MOST_BYTES_WAITING = 4 * 1024 * 1024
# Datagrams received before other tasks run.
_TURN = 32
_buffer = memoryview(bytearray(LARGEST))
_bytes_waiting = 0


class Flow:
    """A flow of `client`, to which answers go by `inside`. It has sent to `literal` inside, which stands for
    `address`. `refused` is told each refusal from outside."""

    def __init__(
        self,
        inside: Datagrams,
        client: Peer,
        address: Address,
        literal: str,
        refused: Callable[[Flow, OSError], None],
    ) -> None:
        self.client = client
        self.address = address
        self.literal = literal
        self._inside = inside
        self.scope = trio.CancelScope()
        self.ended_by = ""
        # Why nothing is carried any more: further datagrams are refused for a moment.
        self.dead = False
        self._refused = refused
        self._outside: socket.socket | None = None
        self._carried = Carried()
        self._check: Check | None = None
        self._waiting: deque[bytes] = deque()
        self._more = trio.Event()
        self._carrying = trio.CancelScope()
        self._failure: OSError | None = None
        self._answered = False
        self._last = trio.current_time()

    def end(self, why: str) -> None:
        """End it, and say why in its close event."""
        self.ended_by = self.ended_by or why
        self.scope.cancel()

    def finish(self) -> None:
        """Nobody sends any more, and nobody waits for an answer: end as if it were idle."""
        if self.dead:
            self.scope.cancel()
        self._carrying.cancel()

    def offer(self, data: bytes) -> None:
        """Take a datagram of the app. Sync: it is sent, kept or dropped."""
        self._last = trio.current_time()
        meter = self._carried.meter
        if self._outside is None or self._waiting or (meter is not None and meter.paced):
            self._keep(data)
        else:
            self._send(data)

    async def carry(self, outside: socket.socket, carried: Carried, check: Check | None) -> None:
        """Carry until it is idle. Raises OSError where the grant refuses what is sent."""
        outside.setblocking(False)
        self._outside, self._carried, self._check = outside, carried, check
        try:
            with self._carrying:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._send_waiting)
                    await self._receive(outside)
                    nursery.cancel_scope.cancel()
        finally:
            self._outside = None
            self.drop_waiting()
        if self._failure is not None:
            raise self._failure

    def drop_waiting(self) -> None:
        """Drop what was not sent."""
        while self._waiting:
            self._taken(len(self._waiting.popleft()))

    def _keep(self, data: bytes) -> None:
        global _bytes_waiting  # noqa: PLW0603 - one count for the process, on the trio thread alone
        if len(self._waiting) < _MOST_WAITING and _bytes_waiting + len(data) <= _MOST_BYTES_WAITING:
            _bytes_waiting += len(data)
            self._waiting.append(data)
            self._more.set()
            if self._carried.all_sent.is_set():
                self._carried.all_sent = trio.Event()

    def _taken(self, size: int) -> None:
        global _bytes_waiting  # noqa: PLW0603 - as above
        _bytes_waiting -= size

    async def _send_waiting(self) -> None:
        """Send what had to wait, each at its time."""
        while True:
            while self._waiting:
                meter = self._carried.meter
                await trio.sleep(0.0 if meter is None else meter.reserve("sent", len(self._waiting[0])))
                data = self._waiting.popleft()
                self._taken(len(data))
                self._send(data)
            self._carried.all_sent.set()
            self._more = trio.Event()
            await self._more.wait()

    def _send(self, data: bytes) -> None:
        assert self._outside is not None
        try:
            if self._check is not None:
                self._check(data)
            if self._carried.meter is not None:
                self._carried.meter.take("sent", len(data))
        except OSError as error:
            self._fail(error)
            return
        self._carried.sent += len(data)
        # A refusal of an earlier datagram is told by the next call, which then sends nothing.
        for _ in range(2):
            try:
                self._outside.send(data)
                return
            except BlockingIOError:
                return
            except OSError as error:
                self._refused(self, error)

    async def _receive(self, outside: socket.socket) -> None:
        """Carry answers until nothing has passed for long enough."""
        turn = 0
        while True:
            turn += 1
            if turn % _TURN == 0:
                await trio.lowlevel.checkpoint()
            try:
                size = outside.recv_into(_buffer)
            except BlockingIOError:
                if await self._idle(outside):
                    return
                continue
            except OSError as error:  # an ICMP error: udp(7)
                self._refused(self, error)
                continue
            await self._deliver(size)

    async def _deliver(self, size: int) -> None:
        meter = self._carried.meter
        self._last = trio.current_time()
        self._answered = True
        if meter is None:
            self._give(_buffer[:size])
            return
        data = _buffer[:size]
        if meter.paced:
            data = memoryview(bytes(data))  # others use the buffer meanwhile
            await trio.sleep(meter.reserve("received", size))
        try:
            meter.take("received", size)
        except OSError as error:
            self._fail(error)
            return
        self._give(data)

    def _give(self, data: memoryview) -> None:
        # Counted before it is there: a program that is answered finds its flow counted.
        self._carried.received += len(data)
        try:
            self._inside.send(data, self.client)
        except OSError:
            pass  # the app does not read, or is gone: dropped

    async def _idle(self, outside: socket.socket) -> bool:
        """Wait for an answer; True where nothing has passed for too long."""
        patience = ANSWERED_SECONDS if self._answered else UNANSWERED_SECONDS
        with trio.move_on_at(self._last + patience):
            await trio.lowlevel.wait_readable(outside)
            return False
        return trio.current_time() >= self._last + patience

    def _fail(self, error: OSError) -> None:
        self._failure = self._failure or error
        self._carrying.cancel()
