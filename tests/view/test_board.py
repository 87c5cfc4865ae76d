"""The parts of a page: whoever was away gets what he lacks, and no more than the page."""

from __future__ import annotations

from collections.abc import Callable

import trio
from hypothesis import given
from hypothesis import strategies as st
from looking import parts
from trio.testing import MockClock

from libos.view.board import LINES, Board, Part
from libos.view.feed import Feeds

STEPS = st.lists(st.one_of(st.tuples(st.integers(0, 5), st.integers(0, 3)), st.just("publish")), max_size=40)


@given(STEPS, st.integers(0, 40))
def test_from_any_version_the_changes_lead_to_the_same_page(steps: list[object], when: int) -> None:
    board = Board()
    then: dict[str, str] = {}
    version = 0
    for number, step in enumerate(steps):
        if isinstance(step, tuple):
            board.put(Part(f"p{step[0]}", "", f"{step[1]}"))
        else:
            board.publish()
        if number == when:
            version = board.version
            then = {part.id: part.html for part in board.since(0)}
    board.publish()
    now = {part.id: part.html for part in board.since(0)}
    assert then | {part.id: part.html for part in board.since(version)} == now
    assert board.since(board.version) == []


def test_what_holds_a_part_comes_before_it_also_when_it_changed_later() -> None:
    board = Board()
    for part in (Part("up", "", "1"), Part("in", "up", "1"), Part("up", "", "2")):
        board.put(part)
        board.publish()
    assert [part.id for part in board.since(0)] == ["up", "in"]
    assert [(part.id, part.html) for part in board.since(2)] == [("up", "2")]


def test_the_same_again_is_no_change_unless_it_lights_up() -> None:
    board = Board()
    board.put(Part("a", "", "same"))
    assert board.publish()
    board.put(Part("a", "", "same"))
    assert not board.publish()
    board.put(Part("a", "", "same", "touched"))
    assert board.publish()


def test_of_lines_the_latest_are_kept() -> None:
    board = Board()
    for number in range(LINES + 50):
        board.add_line(Part(f"e{number}", "log", ""))
        board.publish()
    assert [part.id for part in board.since(0)] == [f"e{number}" for number in range(50, LINES + 50)]
    assert [part.id for part in board.since(board.version - 2)] == [f"e{LINES + 48}", f"e{LINES + 49}"]


async def _following(feeds: Feeds, version: int, send: Callable[[bytes], object]) -> None:
    async def taken(data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        send(data)

    await feeds.follow(version, taken)


def put(feeds: Feeds, name: str, html: str) -> None:
    feeds.board.put(Part(name, "", html))
    feeds.publish()


async def test_a_browser_that_is_slow_gets_what_is_so_when_it_takes_more(autojump_clock: MockClock) -> None:
    feeds = Feeds(Board())
    sent: list[bytes] = []
    free = trio.Event()

    async def stuck(data: bytes) -> None:
        sent.append(data)
        if b"data" in data:
            await free.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(feeds.follow, 0, stuck)
        put(feeds, "a", "first")
        await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(1)
        for number in range(1000):
            put(feeds, f"p{number % 3}", f"{number}")
            await trio.lowlevel.checkpoint()
        assert len(sent) == 2  # how soon to come back, and the first change
        free.set()
        feeds.end()
    assert parts(sent[2].decode().partition("data: ")[2]) == {"p0": "999", "p1": "997", "p2": "998"}
    assert sent[2].startswith(b"id: 1001\n")
    assert sent[3:] == [b"event: end\ndata:\n\n"]


async def test_silence_is_told_now_and_then(autojump_clock: MockClock) -> None:
    sent: list[bytes] = []
    with trio.move_on_after(40):
        await _following(Feeds(Board()), 0, sent.append)
    assert sent[1:] == [b": nothing has changed\n\n"] * 2


async def test_who_knows_a_version_that_never_was_is_asked_to_load_the_page(
    autojump_clock: MockClock,
) -> None:
    sent: list[bytes] = []
    await _following(Feeds(Board()), 7, sent.append)
    assert sent[1:] == [b"event: anew\ndata:\n\n"]


async def test_another_board_is_shown_anew(autojump_clock: MockClock) -> None:
    feeds = Feeds(Board())
    sent: list[bytes] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_following, feeds, 0, sent.append)
        await trio.testing.wait_all_tasks_blocked()
        feeds.renew(Board())
    assert sent[1:] == [b"event: anew\ndata:\n\n"]
