"""The requests that are being answered, and the three things that end a waiting one early.

- its caller has a signal to deliver (EINTR), looked at each TICK;
- its deadline passed (ETIMEDOUT, and a fault is reported);
- its world is closed (EINTR).

Each request runs in a cancel scope of its own. One task looks after all of them and sleeps while there are
none, so a request that does not wait pays for the scope alone (5 us).
"""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import trio

from libos.fs import signals
from libos.fs.node import refusal

# Seconds between two looks at the waiting requests: what a person at a terminal does not notice after Ctrl-C.
TICK = 0.05
# Ticks between two searches for callers that are not known: each looks at every thread of the machine.
SEARCH_TICKS = 10
# Ticks without any request after which the looking stops until the next one.
IDLE_TICKS = 20

World = TypeVar("World")
Answer = TypeVar("Answer")


class Request(Generic[World]):
    """One request under way, about the inode `number`. `thread` is the caller's id on the host; `known` is
    False where it is only the one who opened what the caller uses."""

    __slots__ = ("deadline", "error", "known", "number", "scope", "since", "thread", "world")

    def __init__(self, world: World, number: int, thread: int, known: bool, deadline: float) -> None:
        self.world = world
        self.number = number
        self.thread = thread
        self.known = known
        self.since = trio.current_time()
        self.deadline = self.since + deadline
        self.scope = trio.CancelScope()
        self.error = errno.EINTR

    @property
    def timed_out(self) -> bool:
        """Whether its deadline ended it."""
        return self.error == errno.ETIMEDOUT

    def end(self, error: int) -> None:
        """Cancels what it waits for; it will be answered with `error`."""
        self.error = error
        self.scope.cancel()


class Requests(Generic[World]):
    """All requests under way."""

    def __init__(self) -> None:
        self._waiting: set[Request[World]] = set()
        self._arrived = trio.Event()
        self._parked = False
        self._empty: trio.Event | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    async def answer(self, request: Request[World], work: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `work` returns or raises; OSError(request.error) when the request was ended early."""
        self._waiting.add(request)
        if self._parked:
            self._arrived.set()
        try:
            with request.scope:
                return await work()
        finally:
            self._waiting.discard(request)
            if not self._waiting and self._empty is not None:
                self._empty.set()
        raise refusal(request.error)

    def end_world(self, world: World | None = None) -> None:
        """Ends all requests of a world, or all there are, with EINTR."""
        for request in list(self._waiting):
            if world is None or request.world is world:
                request.end(errno.EINTR)

    async def none_left(self) -> None:
        """Returns once no request is under way."""
        while self._waiting:
            self._empty = trio.Event()
            await self._empty.wait()

    async def look_after(self) -> None:
        """Runs until it is cancelled: deadlines and signals."""
        idle = ticks = 0
        while True:
            if idle >= IDLE_TICKS:
                await self._park()
            await trio.sleep(TICK)
            idle = 0 if self._waiting else idle + 1
            self._look()
            ticks += 1
            if ticks % SEARCH_TICKS == 0:
                await self._search()

    async def _park(self) -> None:
        """Sleeps until a request arrives."""
        self._arrived = trio.Event()
        self._parked = True
        try:
            await self._arrived.wait()
        finally:
            self._parked = False

    async def _search(self) -> None:
        """Ends what some thread waits for by a descriptor of another one, when that thread has a signal."""
        before = trio.current_time() - SEARCH_TICKS * TICK
        searched = [request for request in self._waiting if not request.known and request.since < before]
        if searched:
            stuck = await trio.to_thread.run_sync(signals.stuck)
            for request in searched:
                if request.number in stuck:
                    request.end(errno.EINTR)

    def _look(self) -> None:
        now = trio.current_time()
        for request in list(self._waiting):
            if now >= request.deadline:
                request.end(errno.ETIMEDOUT)
            elif now - request.since >= TICK and signals.wanted(request.thread):
                request.end(errno.EINTR)
