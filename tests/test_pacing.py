"""Holding up an app that makes events faster than they are read."""

from __future__ import annotations

import pytest
import trio

from libos.worlds.pacing import LEFT, PATIENCE, Pace


class Readers:
    """How many events the slowest of some readers can be given."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __call__(self) -> int:
        return self.room


async def test_where_there_is_room_nobody_is_held_up() -> None:
    assert not Pace(Readers(LEFT + 1)).is_due()


async def test_who_is_held_up_goes_on_once_there_is_room(autojump_clock: trio.abc.Clock) -> None:
    readers = Readers(LEFT)
    pace = Pace(readers)
    assert pace.is_due()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pace.wait)
        await trio.sleep(PATIENCE - 1)
        assert pace.is_due()
        readers.room = LEFT + 1
    readers.room = LEFT
    assert pace.is_due()


async def test_a_reader_that_reads_nothing_is_waited_for_once(autojump_clock: trio.abc.Clock) -> None:
    readers = Readers(0)
    pace = Pace(readers)
    began = trio.current_time()
    await pace.wait()
    assert trio.current_time() - began == pytest.approx(PATIENCE)
    assert not pace.is_due()
    readers.room = LEFT + 1
    assert not pace.is_due()
    readers.room = 0
    assert pace.is_due()  # it has read meanwhile
