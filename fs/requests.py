"""The requests that are being answered, and the three things that end a waiting one early.

- its caller has a signal to deliver (EINTR), looked at each TICK;
- its deadline passed (ETIMEDOUT, and a fault is reported);
- its world is closed (EINTR).

Each task that answers requests has one cancel scope, entered once and renewed only after a request in it was
ended: a request that does not wait pays for none. One task looks after all requests and sleeps while there
are none. Times here are those of time.monotonic.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from types import TracebackType
from typing import Generic, TypeVar

import trio

from libos.fs.node import refusal
from libos.fs.turns import Turns
from libos.kernel import pending

# Seconds between two looks at the waiting requests: what a person at a terminal does not notice after Ctrl-C.
TICK = 0.05
# Ticks between two searches for callers that are not known: each looks at every thread of the machine.
SEARCH_TICKS = 10
# Ticks without any request after which the looking stops until the next one.
IDLE_TICKS = 20

# Callers looked at in one tick, in turn: each look costs some 15 us of the thread that serves everybody.
LOOKS = 256
# Requests of one world under way at once; EAGAIN beyond. Each takes some 20 KiB here, so one world must not
# have as many as it likes.
MOST_OF_A_WORLD = 10_000

World = TypeVar("World")
LookAround = Callable[[list[int]], pending.Look]
Answer = TypeVar("Answer")


class WorkerScope:
    """The cancel scope around all that one task answers; it is the innermost one between two requests."""

    __slots__ = ("_token", "scope", "thread")

    def __enter__(self) -> WorkerScope:
        self._token = _worker.set(self)
        self.thread = 0
        self.scope = trio.CancelScope()
        self.scope.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Swallows nothing: what ends a request was dealt with by `renew`."""
        _worker.reset(self._token)
        self.scope.__exit__(kind, error, trace)

    def renew(self, error: BaseException | None) -> bool:
        """Leaves the scope with what was raised in it and enters a new one; whether it was the scope's own
        cancellation."""
        try:
            return bool(self.scope.__exit__(type(error) if error else None, error, None))
        finally:
            self.scope = trio.CancelScope()
            self.scope.__enter__()


_worker: ContextVar[WorkerScope | None] = ContextVar("_worker", default=None)


def asking() -> int:
    """The thread, by its id on the host, for which the current task answers: it waits, so the id is its own.
    0 outside of a request, where the kernel asks by itself, and where what asks may be another thread than
    the one that opened what is used."""
    worker = _worker.get()
    return worker.thread if worker is not None else 0


class Request(Generic[World]):
    """One request under way, about the inode `number`. `thread` is the caller's id on the host; `known` is
    False where it is only the one who opened what the caller uses. `party` is who takes turns with others:
    the world itself unless said."""

    __slots__ = (
        *("deadline", "error", "known", "looked", "number"),
        *("party", "scope", "since", "thread", "world"),
    )

    def __init__(
        self, world: World, number: int, thread: int, known: bool, deadline: float, party: object = None
    ) -> None:
        self.world = world
        self.party = world if party is None else party
        self.number = number
        self.thread = thread
        self.known = known
        self.since = time.monotonic()
        self.deadline = self.since + deadline
        self.scope: trio.CancelScope | None = None
        self.error = 0
        self.looked = 0

    @property
    def timed_out(self) -> bool:
        """Whether its deadline ended it."""
        return self.error == errno.ETIMEDOUT

    def end(self, error: int) -> None:
        """Cancels what it waits for; it will be answered with `error`."""
        self.error = error
        if self.scope is not None:
            self.scope.cancel()


class Requests(Generic[World]):
    """All requests under way."""

    def __init__(self) -> None:
        # Looks at all threads of the machine; called in a worker thread.
        self.look_around: LookAround = pending.look
        self.turns: Turns[object] = Turns()
        self._waiting: set[Request[World]] = set()
        self._arrived = trio.Event()
        self._parked = False
        self._empty: trio.Event | None = None
        self._of_party: dict[object, int] = {}
        self._turn = 0

    def __len__(self) -> int:
        return len(self._waiting)

    async def answer(self, request: Request[World], work: Awaitable[Answer]) -> Answer:
        """What `work` returns or raises; OSError(request.error) when the request was ended early."""
        worker = _worker.get()
        if worker is None:
            with WorkerScope():
                return await self.answer(request, work)
        must_wait = self.turns.must_wait(request.party, request.since)
        under_way = self._of_party.get(request.party, 0)
        if under_way >= MOST_OF_A_WORLD:
            _close(work)
            raise refusal(errno.EAGAIN)
        self._of_party[request.party] = under_way + 1
        request.scope = worker.scope
        worker.thread = request.thread if request.known else 0
        self._waiting.add(request)
        if self._parked:
            self._arrived.set()
        try:
            if must_wait:
                await self._wait_for_turn(request, work)
            answer = await work
        except BaseException as error:
            if request.error and worker.renew(error):
                raise refusal(request.error) from None  # noqa: ASYNC104 - the scope's own cancellation
            raise
        else:
            if request.error:
                worker.renew(None)
            return answer
        finally:
            self._waiting.discard(request)
            self._leave(request.party)
            if not self._waiting and self._empty is not None:
                self._empty.set()

    async def _wait_for_turn(self, request: Request[World], work: Awaitable[object]) -> None:
        try:
            await self.turns.wait(request.party)
        except BaseException:
            _close(work)
            raise

    def _leave(self, party: object) -> None:
        left = self._of_party[party] - 1
        if left:
            self._of_party[party] = left
        else:
            del self._of_party[party]

    def end_world(
        self,
        world: World | None = None,
        chosen: Callable[[int], bool] | None = None,
        error: int = errno.EINTR,
    ) -> None:
        """Ends the requests of a world, or of all, that are about a chosen inode number."""
        for request in list(self._waiting):
            if (world is None or request.world is world) and (chosen is None or chosen(request.number)):
                request.end(error)

    def end_inodes(self, numbers: set[int], error: int) -> None:
        """Ends all requests about these inodes."""
        for request in list(self._waiting):
            if request.number in numbers:
                request.end(error)

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
        before = time.monotonic() - SEARCH_TICKS * TICK
        searched = [request for request in self._waiting if not request.known and request.since < before]
        if searched:
            seen = await trio.to_thread.run_sync(self.look_around, [each.thread for each in searched])
            for stuck in seen.stuck:
                for request in _in_the_way(stuck, searched, seen.waiting):
                    if request in self._waiting:  # or its scope is another one's by now
                        request.end(errno.EINTR)

    def _look(self) -> None:
        now = time.monotonic()
        asked: list[Request[World]] = []
        for request in list(self._waiting):
            if now >= request.deadline:
                request.end(errno.ETIMEDOUT)
            elif now - request.since >= TICK and not request.error:
                asked.append(request)
        asked.sort(key=_looked)
        self._turn += 1
        for request in asked[:LOOKS]:
            request.looked = self._turn
            if pending.wanted(request.thread):
                request.end(errno.EINTR)


def _in_the_way(
    stuck: pending.Stuck, searched: list[Request[World]], waiting: set[int]
) -> list[Request[World]]:
    """The requests one of which a stuck thread waits for. Of those that it may have made, the ones are left
    out whose opener waits itself: they are the opener's."""
    found = [request for request in searched if request.number == stuck.number]
    if stuck.behind:
        return found
    if any(request.thread == stuck.thread for request in found):
        return []  # it is looked at anyway
    return [request for request in found if request.thread not in waiting]


def _looked(request: Request[World]) -> int:
    """When its caller was last looked at."""
    return request.looked


def _close(work: Awaitable[object]) -> None:
    """Lets go of a coroutine that will not run."""
    if isinstance(work, Coroutine):
        work.close()
