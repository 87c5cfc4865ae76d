"""Who is answered next, where several worlds ask for more than can be answered at once.

The kernel queues the requests of all worlds in one line, so a world with many threads that ask all the time
would stand in front of everybody. Rules:

- While one world alone asks, and while the kernel's line is empty now and then, nothing here costs anything.
- Else the line is read to its end. A request of a world that has had BURST answers since the line was last
  empty is put off; when the line is empty, ROUND of those of each world are answered, and then the line is
  read again.
- So another world waits behind some ROUND requests of each, however many threads these have.

Sync on purpose but for `wait` and `run`: no checkpoint between the counts and the lines.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import trio

# Answers of a world in a row before others are asked for: some 2 ms.
BURST = 32
# Requests of a world that are answered before the line is looked at again.
ROUND = 4
# Seconds for which a world counts as one that asks.
RECENT = 1.0

World = TypeVar("World")


class Turns(Generic[World]):
    """`more` says whether requests wait in the kernel."""

    def __init__(self, more: Callable[[], bool] = lambda: False) -> None:
        self.more = more
        self._answered: dict[World, int] = {}
        self._asked: dict[World, float] = {}
        self._put_off: dict[World, deque[trio.Event]] = {}
        self._arrived = trio.Event()

    def must_wait(self, world: World, now: float) -> bool:
        """Whether a request of a world that was read just now is to `wait` first."""
        self._asked[world] = now
        answered = self._answered[world] = self._answered.get(world, 0) + 1
        if answered <= BURST:
            return False
        if not self._put_off and not self.more():
            self._answered.clear()
            return False
        for other in [other for other, when in self._asked.items() if now - when > RECENT]:
            del self._asked[other]
        return len(self._asked) > 1

    def forget(self, world: World) -> None:
        """Lets go of a world that is closed: it asks no more."""
        self._asked.pop(world, None)
        self._answered.pop(world, None)

    async def take(self, world: World) -> None:
        """Returns when it is the turn of a request of a world that was read just now."""
        if self.must_wait(world, time.monotonic()):
            await self.wait(world)

    async def wait(self, world: World) -> None:
        """Returns when it is this request's turn."""
        turn = trio.Event()
        self._put_off.setdefault(world, deque()).append(turn)
        self._arrived.set()
        await turn.wait()

    async def run(self) -> None:
        """Lets those on that were put off; until it is cancelled."""
        while True:
            if not self._put_off:
                self._arrived = trio.Event()
                await self._arrived.wait()
            await trio.lowlevel.checkpoint()
            if not self.more():
                self._let_on()

    def _let_on(self) -> None:
        for world, line in list(self._put_off.items()):
            for _ in range(min(ROUND, len(line))):
                line.popleft().set()
            if not line:
                del self._put_off[world]
