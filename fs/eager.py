"""How pyfuse3 waits for requests, made cheap: look before going to sleep.

pyfuse3 goes through trio's scheduler twice for each request: once for its lock, once to wait until the
descriptor is readable. This stands in for the trio module inside pyfuse3 (which lets itself be given
another one: that is how its asyncio mode works) and changes three things:

- who asks for the lock looks at the descriptor first, for up to SPIN after the last request, and goes on
  without the lock and without the scheduler when a request is there;
- who sleeps, and is woken, looks again: somebody else may have taken the request;
- reading does not block: the kernel takes a request back when its caller is killed, whoever saw it.

After TURN the other tasks of the process get theirs.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import trio

from libos.fs.requests import WorkerScope

# Seconds to look for the next request before sleeping: a program that uses files one after another asks
# again within this, and waking a sleeping thread costs as much. Where the program needs our processor to go
# on, looking is in vain, and soon stops.
SPIN = 25e-6
# After this many sleeps that no look could spare, only each of RARE sleeps begins with looking.
PATIENCE = 4
RARE = 16
# Seconds of requests answered in a row before other tasks run: some thirty requests.
TURN = 1e-3


def readable(fd: int) -> Callable[[], bool]:
    """What says whether reading from a descriptor gives something at once. poll(2)."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return lambda: bool(poll.poll(0))


class Gate:
    """The lock around pyfuse3's wait, and the wait itself. At most one task sleeps, and it holds the lock."""

    def __init__(self, fd: int) -> None:
        # Whether reading gives something at once (a request, or the end).
        self.readable = readable(fd)
        self._lock = trio.Lock()
        self._sleeper: trio.lowlevel.Task | None = None
        self._turn_began = 0.0
        self._in_vain = 0
        self._seen = False

    def soon_readable(self) -> bool:
        """As `readable`, but looks for up to SPIN while that has been worth it lately."""
        if self.readable():
            return True
        if self._in_vain >= PATIENCE and self._in_vain % RARE:
            self._in_vain += 1
            return False
        until = time.perf_counter() + SPIN
        while time.perf_counter() < until:
            if self.readable():
                self._in_vain = 0
                return True
        self._in_vain += 1
        return False

    async def __aenter__(self) -> None:
        if time.perf_counter() - self._turn_began > TURN:
            await trio.lowlevel.checkpoint()
            self._turn_began = time.perf_counter()
        self._seen = self.soon_readable()
        if not self._seen:
            await self._become_sleeper()

    async def _become_sleeper(self) -> None:
        await self._lock.acquire()
        self._sleeper = trio.lowlevel.current_task()

    async def __aexit__(self, *_: object) -> None:
        if self._sleeper is trio.lowlevel.current_task():
            self._sleeper = None
            self._lock.release()

    async def wait_readable(self, fd: int) -> None:
        """Returns when reading will not block. Whoever saw a request that is gone again takes the lock
        first."""
        if self._seen:
            self._seen = False  # by this task just now: no checkpoint is between
            return
        while not self.readable():
            if self._sleeper is not trio.lowlevel.current_task():
                await self._become_sleeper()
            else:
                await trio.lowlevel.wait_readable(fd)


class Nursery:
    """pyfuse3's nursery, whose workers begin again when the request that they saw was gone when they read.

    The kernel takes a request back when its caller is killed; a descriptor that blocks would then hold the
    thread. A worker that ends this way leaves its buffer behind: address space, of which little was used.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery

    def start_soon(
        self, worker: Callable[..., Awaitable[None]], _: object, *args: object, name: object
    ) -> None:
        self._nursery.start_soon(self._work, worker, args, name=name)

    async def _work(self, worker: Callable[..., Awaitable[None]], args: tuple[object, ...]) -> None:
        with WorkerScope():
            while True:
                try:
                    return await worker(self, *args)
                except BlockingIOError:
                    continue


@asynccontextmanager
async def open_nursery() -> AsyncIterator[Nursery]:
    async with trio.open_nursery() as nursery:
        yield Nursery(nursery)


class Standin:
    """A module with some names replaced."""

    def __init__(self, module: ModuleType, **replaced: object) -> None:
        self._module = module
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def eager_trio(fd: int) -> Standin:
    """trio, as pyfuse3 should see it while it serves this descriptor."""
    gate = Gate(fd)
    os.set_blocking(fd, False)
    lowlevel = Standin(trio.lowlevel, wait_readable=gate.wait_readable)
    return Standin(trio, Lock=lambda: gate, lowlevel=lowlevel, open_nursery=open_nursery)
