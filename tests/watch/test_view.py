"""The view on a terminal in memory: what stands on the screen, and what keys do.

The screens are in `screens/`, as text; LIBOS_RENEW=1 writes them anew.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.events import Key
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input
from watched import EXIT, Told, event, look, screen

from libos.watch import acting, keys
from libos.watch.prompts import Confirm, Edit
from libos.watch.screen import Watch

SCREENS = Path(__file__).parent / "screens"
# Tenths of a second for the view to be drawn.
PATIENCE = 200


@pytest.fixture(autouse=True)
def _utc() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands that were run; none is in truth."""
    words: list[tuple[str, ...]] = []

    async def run(command: tuple[str, ...]) -> tuple[int, str]:
        words.append(command)
        return (1, "no such \x1b[31mworld") if "kill" in command else (0, "19")

    monkeypatch.setattr(acting, "run", run)
    return words


async def is_screen(name: str, view: Watch, pilot: Pilot[None]) -> None:
    """Compare the screen with the one that is kept, once it is drawn: a view draws what changed a moment
    later."""
    kept = SCREENS / f"{name}.txt"
    if os.environ.get("LIBOS_RENEW"):
        await pilot.pause(1)
        kept.write_text(screen(view))
    for _ in range(PATIENCE):
        if screen(view) == kept.read_text():
            return
        await pilot.pause(0.1)
    assert screen(view) == kept.read_text()


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys, and wait until they are handled."""
    await pilot.press(*keys)
    await pilot.pause()


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Wait for something that a command of the view's own brings about."""
    while not condition():
        await pilot.pause()


async def open_over(view: Watch, pilot: Pilot[None], key: str, over: type[Screen[Any]]) -> None:
    """Press a key that lays something over the view."""
    await pilot.press(key)
    await until(pilot, lambda: isinstance(view.screen, over))
    await pilot.pause()


@pytest.mark.parametrize("size", [(100, 30), (80, 24), (40, 20), (60, 12), (20, 5)])
def test_the_screen(size: tuple[int, int]) -> None:
    async def use(view: Watch, pilot: Pilot[None]) -> None:
        await is_screen(f"{size[0]}x{size[1]}", view, pilot)
        assert all(len(line) <= size[0] for line in screen(view).splitlines())

    look(Told(), use, size)


def test_a_resize_lays_it_out_anew() -> None:
    async def use(view: Watch, pilot: Pilot[None]) -> None:
        await pilot.resize_terminal(40, 20)
        await pilot.pause()
        await is_screen("40x20", view, pilot)
        await pilot.resize_terminal(100, 30)
        await pilot.pause()
        await is_screen("100x30", view, pilot)

    look(Told(), use)


def test_tab_goes_round_the_panes_on_a_narrow_screen_too() -> None:
    async def use(view: Watch, pilot: Pilot[None]) -> None:
        assert "collector.example" in screen(view)
        await press(pilot, "shift+tab")
        assert "db.example" in screen(view)
        assert "collector.example" not in screen(view)
        await press(pilot, "tab", "tab")
        assert view.focused is not None
        assert view.focused.id == "details"
        await press(pilot, "tab")
        assert "db.example" in screen(view)

    look(Told(), use, (40, 20))


def test_details_follow_the_cursor() -> None:
    async def use(view: Watch, pilot: Pilot[None]) -> None:
        await press(pilot, "end")
        await is_screen("connection", view, pilot)
        await press(pilot, "shift+tab", "down", "down")
        await is_screen("unused", view, pilot)

    look(Told(), use)


def test_enter_and_arrows_fold_and_unfold() -> None:
    async def use(view: Watch, pilot: Pilot[None]) -> None:
        assert "/usr/bin/git" not in screen(view)
        await press(pilot, "down", "down", "enter")
        assert "/usr/bin/git" in screen(view)
        await press(pilot, "down", "left", "left")
        assert "/usr/bin/git" not in screen(view)

    look(Told(), use)


def test_a_filter_is_typed_and_what_it_hides_is_counted() -> None:
    async def use(view: Watch, pilot: Pilot[None]) -> None:
        await press(pilot, "/", *"etc")
        await is_screen("filter", view, pilot)
        await press(pilot, "enter")
        assert view.query_one("#filter").display is False
        assert "hidden by the filter" in screen(view)
        await press(pilot, "escape")
        assert "hidden by the filter" not in screen(view)

    look(Told(), use)


def test_what_is_typed_faster_than_it_is_handled_is_never_taken_for_a_key(ran: list[tuple[str, ...]]) -> None:
    async def use(view: Watch, pilot: Pilot[None]) -> None:
        for char in "/Ky":
            view.post_message(Key({"/": "slash"}.get(char, char), char))
        await until(pilot, lambda: view.query_one("#words", Input).value == "Ky")
        await press(pilot, "q", "p", "?", "/")
        assert view.query_one("#words", Input).value == "Kyqp?/"
        assert len(view.screen_stack) == 1
        assert ran == []

    look(Told(), use)


def test_a_paused_view_stands_still_and_counts() -> None:
    async def use(view: Watch, pilot: Pilot[None]) -> None:
        await press(pilot, "p")
        source.take([event("path.absent", 3, path="/new")])
        await until(pilot, lambda: "1 events since" in screen(view))
        assert "/new" not in screen(view)
        await press(pilot, "p")
        assert "/new" in screen(view)
        assert "PAUSED" not in screen(view)

    source = Told()
    look(source, use)


def test_a_grant_is_shown_edited_and_run(ran: list[tuple[str, ...]]) -> None:
    async def use(view: Watch, pilot: Pilot[None]) -> None:
        await press(pilot, "down", "down", "down")
        await open_over(view, pilot, "g", Edit)
        await is_screen("grant", view, pilot)
        assert ran == []
        await press(pilot, *":rw", "enter")
        await until(pilot, lambda: "/etc/shadow:/etc/shadow:rw  done  19" in screen(view))
        assert ran == [("libos", "mount", "web", "/etc/shadow:/etc/shadow:rw")]
        await open_over(view, pilot, "g", Edit)
        await press(pilot, "escape")
        assert not isinstance(view.screen, Edit)
        assert len(ran) == 1

    look(Told(), use)


def test_what_is_edited_stays_a_libos_command(ran: list[tuple[str, ...]]) -> None:
    async def use(view: Watch, pilot: Pilot[None]) -> None:
        await press(pilot, "down", "down", "down")
        await open_over(view, pilot, "g", Edit)
        line = view.screen.query_one(Input)
        for wrong, why in (("rm -rf /", "it is a libos command"), ("libos 'x", "No closing quotation")):
            line.value = wrong
            await press(pilot, "enter")
            assert why in screen(view)
        await press(pilot, "escape")
        assert ran == []

    look(Told(), use)


def test_what_takes_away_is_confirmed(ran: list[tuple[str, ...]]) -> None:
    async def use(view: Watch, pilot: Pilot[None]) -> None:
        await open_over(view, pilot, "K", Confirm)
        await is_screen("kill", view, pilot)
        for other in ("n", "enter", "q", "escape", "K"):
            await press(pilot, other)
            assert not isinstance(view.screen, Confirm)
            await until(pilot, lambda: not view.workers)
            assert ran == []
            await open_over(view, pilot, "K", Confirm)
        await press(pilot, "y")
        await until(pilot, lambda: "$ libos kill web  status 1  no such \\x1b[31mworld" in screen(view))
        assert ran == [("libos", "kill", "web")]

    look(Told(), use)


def test_a_question_is_answered_at_once(ran: list[tuple[str, ...]]) -> None:
    async def use(view: Watch, pilot: Pilot[None]) -> None:
        await press(pilot, "d")
        await until(pilot, lambda: ran == [("libos", "ask", "web", "7", "no")])
        source.take([event("answer", 3, id=7, path="/work/key.pem", answer="no", by="command")])
        await until(pilot, lambda: "waits" not in screen(view))

    source = Told()
    look(source, use)


def test_a_name_with_escapes_is_run_as_it_is(ran: list[tuple[str, ...]]) -> None:
    name = "/tmp/\x1b[31mred\nblue"

    async def use(view: Watch, pilot: Pilot[None]) -> None:
        await open_over(view, pilot, "g", Edit)
        assert "/tmp/\\x1b[31mred\\nblue" in screen(view)
        await press(pilot, "enter")
        await until(pilot, lambda: ran == [("libos", "mount", "web", f"{name}:{name}")])

    look(Told([event("path.absent", path=name)]), use)


def test_an_event_file_says_that_keys_need_a_running_world(ran: list[tuple[str, ...]]) -> None:
    async def use(view: Watch, pilot: Pilot[None]) -> None:
        for key in keys.ACTING:
            if key.running:
                await press(pilot, key.key)
                assert f"{key.word}: this is an event file" in screen(view)
        assert ran == []
        assert "K kill" not in screen(view)

    look(Told(why_not_running="this is an event file"), use)


def test_a_world_that_ends_while_one_looks(ran: list[tuple[str, ...]]) -> None:
    async def use(view: Watch, pilot: Pilot[None]) -> None:
        source.over, source.why_not_running = True, "the world has ended"
        source.take([EXIT])
        await until(pilot, lambda: "ended, status 0, 8.9 s" in screen(view))
        assert "peak 20.0M" in screen(view)
        await press(pilot, "K")
        assert "kill: the world has ended" in screen(view)
        assert ran == []

    source = Told()
    look(source, use)


def test_names_cannot_draw() -> None:
    names = ["\x1b]0;title\x07", "\x9b2J", "two\nlines", "\u202eevil", "[bold]markup[/bold]", "x" * 2_000_000]
    names += ["漢字" * 300, "e\u0301" * 400, "\U0001f9d1\u200d\U0001f692" * 100]

    async def use(view: Watch, pilot: Pilot[None]) -> None:
        for _ in range(len(names) + 2):
            text = screen(view)
            assert not [char for char in text if not char.isprintable() and char not in "\n\u200d"]
            await press(pilot, "down")
        assert "[bold]markup[/bold]" in text
        for key in ("shift+tab", "down", "down", "enter", "down", "?"):
            await press(pilot, key)
        assert all(char.isprintable() or char == "\n" for char in screen(view))

    told = [event("path.absent", path=f"/{name}") for name in names]
    told += [event("grant", action="mount", id=name, path=f"/g/{name}", mechanism=name) for name in names]
    told += [
        event("app.start", command=names),
        event("error", reason=names[0]),
        event("missing", feature=names[0]),
    ]
    look(Told(told), use)


def test_events_faster_than_the_screen_are_drawn_as_one_state() -> None:
    async def use(view: Watch, pilot: Pilot[None]) -> None:
        before = view.drawings
        for number in range(300):
            source.take([event("path.absent", 3, path=f"/many/{number % 50}")])
        assert view.drawings == before  # nothing is drawn, and one drawing is due
        await until(pilot, lambda: "300 events" in screen(view))
        assert view.drawings == before + 1

    source = Told([])
    look(source, use)


def test_with_nothing_to_draw_no_timer_runs() -> None:
    async def use(view: Watch, pilot: Pilot[None]) -> None:
        loop = asyncio.get_running_loop()
        await press(pilot, "/", "x", "escape", "K", "n", "?", "x")
        scheduled = [each for each in loop._scheduled if not each.cancelled()]  # type: ignore[attr-defined]  # asyncio's own list
        assert not scheduled

    look(Told(), use)
