"""Which world is answered next, whatever the others ask."""

from __future__ import annotations

from collections import deque

import trio
import trio.testing

from libos.fs.requests import Request, Requests
from libos.fs.turns import BURST, RECENT, ROUND, Turns

NOW = 1000.0


class Line:
    """A kernel's line of requests, each a world's name; what is answered, in order."""

    def __init__(self) -> None:
        self.waiting: deque[str] = deque()
        self.answered: list[str] = []
        self.turns: Turns[str] = Turns(lambda: bool(self.waiting))

    async def answer(self, world: str) -> None:
        if self.turns.must_wait(world, NOW):
            await self.turns.wait(world)
        self.answered.append(world)
        if world == "many":
            self.waiting.append(world)  # its thread asks again

    async def read(self, nursery: trio.Nursery, count: int) -> None:
        """Read as the file server does: one at a time, whenever there is one."""
        while len(self.answered) < count:
            if self.waiting:
                nursery.start_soon(self.answer, self.waiting.popleft())
            await trio.lowlevel.checkpoint()


async def test_a_world_with_hundreds_of_threads_does_not_stand_in_front_of_another_one() -> None:
    line = Line()
    line.turns.must_wait("few", NOW)
    line.waiting.extend(["many"] * 500)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(line.turns.run)
        await line.read(nursery, 2000)
        before = len(line.answered)
        line.waiting.append("few")
        await line.read(nursery, before + 100)
        nursery.cancel_scope.cancel()
    assert line.answered.index("few", before) - before <= 4 * ROUND


async def test_a_world_alone_is_never_put_off() -> None:
    line = Line()
    line.waiting.extend(["many"] * 500)
    assert not any(line.turns.must_wait("many", NOW) for _ in range(10 * BURST))


async def test_a_world_that_asked_long_ago_does_not_count() -> None:
    line = Line()
    line.waiting.append("many")
    line.turns.must_wait("few", NOW)
    late = NOW + RECENT + 1
    assert not any(line.turns.must_wait("many", late) for _ in range(10 * BURST))
    line.turns.must_wait("few", late)
    assert line.turns.must_wait("many", late)


async def test_an_empty_line_gives_every_world_its_burst_anew() -> None:
    line = Line()
    line.turns.must_wait("few", NOW)
    assert not any(line.turns.must_wait("many", NOW) for _ in range(10 * BURST))


async def test_all_that_was_put_off_is_answered() -> None:
    line = Line()
    line.turns.must_wait("few", NOW)
    line.waiting.append("")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(line.turns.run)
        for _ in range(BURST + 100):
            nursery.start_soon(line.turns.take, "many")
        line.waiting.clear()
        await line.turns.take("few")
        nursery.cancel_scope.deadline = trio.current_time() + 20
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1  # the one that lets them on
        nursery.cancel_scope.cancel()


async def test_a_closed_world_is_not_kept() -> None:
    line = Line()
    line.turns.must_wait("few", NOW)
    line.turns.forget("few")
    line.waiting.append("many")
    assert not any(line.turns.must_wait("many", NOW) for _ in range(10 * BURST))


async def test_the_trees_of_one_world_take_no_turns_among_themselves() -> None:
    requests: Requests[str] = Requests()
    requests.turns.more = lambda: True

    async def answer() -> str:
        return "answered"

    for number in range(10 * BURST):
        one = Request(f"tree {number % 2}", 2, 0, True, 3600, party="world")
        assert await requests.answer(one, answer()) == "answered"  # nobody lets on what is put off
