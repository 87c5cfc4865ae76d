"""Carries the bytes of one TCP connection between a socket inside a world and one outside.

Rules:
- Each direction ends by itself (half-close); a reset on either side resets the other. Cancellation resets
  both, but not an outside that was sent the world's end of file: what is on its way there still arrives.
- Bytes are carried in the `poller`'s task. The one that called `relay` is woken at the end, and where bytes
  wait for a rate.
"""

from __future__ import annotations

import math
import socket

import trio

from libos.net.carried import Carried
from libos.net.direction import Direction
from libos.net.poller import HUNG_UP, MOST, READABLE, WRITABLE, poller
from libos.net.sockets import abort


async def relay(inside: socket.socket, outside: socket.socket, carried: Carried) -> None:
    """Carry bytes both ways until both directions have ended; closes both sockets on every way out.

    Both must be connected and non-blocking. `carried` is kept up to date. Raises OSError (ECONNRESET, EPIPE,
    ETIMEDOUT, …) where a side failed; both sides have then been reset.
    """
    carrying = _Relay(inside, outside, carried)
    try:
        carrying.watch()
        while not carrying.over:
            await carrying.woken()
    finally:
        carrying.close()
    if carrying.failure is not None:
        raise carrying.failure


class _Relay:
    """Two directions, and the task that waits for their end: it closes the sockets, so that whoever sees that
    finds it told. `over` once both directions have ended, or one has failed."""

    def __init__(self, inside: socket.socket, outside: socket.socket, carried: Carried) -> None:
        self._poller = poller()
        self._carried = carried
        self._sent = Direction(inside, outside, carried, "sent")
        self._received = Direction(outside, inside, carried, "received")
        self._task: trio.lowlevel.Task | None = None
        self.over = False
        self.failure: Exception | None = None

    def watch(self) -> None:
        """Have the poller tell of both sockets, and of what is there already. Raises OSError."""
        self._poller.watch(self._sent.fd, self)
        self._poller.watch(self._received.fd, self)

    def ready(self, fd: int, events: int, share: int) -> None:
        """Called by the poller."""
        reading, writing = self._sent, self._received
        if fd != reading.fd:
            reading, writing = writing, reading
        try:
            if writing.full and events & WRITABLE:
                self._go_on(writing, share)
            reading.hung = reading.hung or bool(events & HUNG_UP)
            if events & READABLE and reading.reads and not self.over:
                self._go_on(reading, share)
        except Exception as error:
            self._end(error)

    async def woken(self) -> None:
        """Wait for the end, or until bytes may pass by the rate, and have them pass."""
        due = min(self._sent.due, self._received.due)
        if due == math.inf:
            await self._park(due)
        else:
            with trio.move_on_at(due):
                await self._park(due)
        now = trio.current_time()
        for direction in (self._sent, self._received):
            if not self.over and direction.due <= now:
                try:
                    self._go_on(direction, MOST)
                except Exception as error:
                    self._end(error)

    def close(self) -> None:
        """Close both sockets. Where it is not over all ends at once, but for what the world has sent to its
        end."""
        if not self.over:
            self._leave()
            abort(self._sent.source)
            if not self._carried.all_sent.is_set():
                abort(self._received.source)
        elif self.failure is not None:
            abort(self._sent.source)
            abort(self._received.source)
        self._sent.source.close()
        self._received.source.close()

    def _go_on(self, direction: Direction, share: int) -> None:
        self._carry(direction, share)
        if self.over:
            return
        back = self._received if direction is self._sent else self._sent
        if direction.again:
            self._poller.again(direction.fd, back.full)
        elif direction.full:
            self._poller.again(back.fd, True)
        elif direction.due != math.inf:
            self._wake()

    def _carry(self, direction: Direction, share: int) -> None:
        direction.step(share)
        if not direction.ended:
            return
        if self._sent.ended and self._received.ended:
            self._end(None)  # closing tells the second end of file
        else:
            direction.sink.shutdown(socket.SHUT_WR)
        if direction is self._sent:
            self._carried.all_sent.set()

    def _end(self, failure: Exception | None) -> None:
        self.failure = failure
        self.over = True
        self._leave()
        self._wake()

    def _leave(self) -> None:
        for direction in (self._sent, self._received):
            self._poller.forget(direction.fd)
            direction.give_back()

    async def _park(self, due: float) -> None:
        def leave(_: object) -> trio.lowlevel.Abort:
            self._task = None
            if trio.current_time() < due:  # cancelled: nothing passes any more, not even an end of file
                self._leave()
            return trio.lowlevel.Abort.SUCCEEDED

        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(leave)

    def _wake(self) -> None:
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None
