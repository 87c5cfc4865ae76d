"""Notices: asked, given back or taken, withdrawn; what readers see."""

from __future__ import annotations

import math
from contextlib import aclosing

import pytest
import trio
import trio.testing

from libos.notices import MOST, Notices, require_seconds


async def told(notices: Notices, count: int) -> list[str]:
    """The first lines that a new reader gets."""
    lines: list[str] = []
    async with aclosing(notices.lines()) as reading:
        async for line in reading:
            lines.append(line)
            if len(lines) == count:
                break
    return lines


async def test_what_is_given_back_is_not_taken(autojump_clock: trio.testing.MockClock) -> None:
    notices = Notices()
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(notices.give, "1", "/a b", 60)
        await trio.testing.wait_all_tasks_blocked()
        notices.ended("1", "/a b", "drop")
    assert trio.current_time() - began < 60
    assert await told(notices, 2) == ["asked 1 /a\\x20b 60\n", "returned 1 /a\\x20b\n"]
    assert notices.repossessed() == ""


async def test_what_is_not_given_back_in_time_is_taken(autojump_clock: trio.testing.MockClock) -> None:
    notices = Notices()
    await notices.give("1", "/a", 5)
    notices.ended("1", "/a", "revoke")
    notices.ended("2", "/b\n", "revoke")  # without a notice
    assert await told(notices, 3) == ["asked 1 /a 5\n", "taken 1 /a\n", "taken 2 /b\\n\n"]
    assert notices.repossessed() == "1 /a\n2 /b\\n\n"


async def test_a_cancelled_notice_is_withdrawn() -> None:
    notices = Notices()
    with trio.CancelScope() as scope:
        scope.cancel()
        await notices.give("1", "/a", 60)
    assert await told(notices, 2) == ["asked 1 /a 60\n", "withdrawn 1 /a\n"]


async def test_the_end_of_the_world_ends_notices_and_readers(autojump_clock: trio.testing.MockClock) -> None:
    notices = Notices()
    lines: list[str] = []

    async def read() -> None:
        async for line in notices.lines():
            lines.append(line)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        nursery.start_soon(notices.give, "1", "/a", 3600)
        nursery.start_soon(notices.give, "1", "/a", 7200)
        await trio.testing.wait_all_tasks_blocked()
        notices.close()
    assert sorted(lines) == ["asked 1 /a 3600\n", "asked 1 /a 7200\n"]


async def test_a_slow_reader_gets_the_latest_lines() -> None:
    notices = Notices()
    for number in range(MOST + 5):
        notices.ended(str(number), "/a", "revoke")
    assert (await told(notices, 1)) == ["taken 5 /a\n"]
    assert len(notices.repossessed().splitlines()) == MOST


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, 86_401])
def test_what_is_no_time_of_a_notice_is_an_error(seconds: float) -> None:
    with pytest.raises(ValueError, match="a notice is of 0 to 86400 seconds"):
        require_seconds(seconds)
