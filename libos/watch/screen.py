"""The view: two lists, the details of what is selected, one line of keys.

Rules:
- It is drawn when something has come, at most every DRAW_SECONDS and less often where drawing takes long;
  nothing is queued for it, since it draws the state as it is. With nothing coming there is no timer.
- What keys do is run as a `libos` process of its own, one at a time; its last line is shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable
from typing import ClassVar, TypeVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Static

from libos.events import Event
from libos.seen import Seen
from libos.watch import keys
from libos.watch.acting import Acting
from libos.watch.details import details
from libos.watch.heading import heading
from libos.watch.holding import Holding
from libos.watch.items import Key, Subject
from libos.watch.listing import STYLES, Listing
from libos.watch.measuring import Measuring
from libos.watch.prompts import Keys
from libos.watch.rows import Words, flattened
from libos.watch.sources import Source
from libos.watch.style import CSS
from libos.watch.trying import tried

# Seconds between two drawings at the least: what changes faster cannot be read.
DRAW_SECONDS = 0.1
# Of its time the view spends at most one part in so many on drawing.
_DRAW_SHARE = 4
_PANES = ("held", "tried", "details")
# The actions of keys that are letters.
_LETTERS = ("act", "filter", "pause", "keys", "leave")
Part = TypeVar("Part", bound=Widget)


class Watch(App[None]):
    """`libos watch` on a terminal. `drawings` counts how often it was drawn."""

    CSS = CSS
    TITLE = "libos watch"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (70, "-wide")]  # noqa: RUF012 - Textual's own type
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]  # noqa: RUF012
    # All before the widgets', and so one after another: what is typed after "/" is never taken for a key.
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(key.key, f"act('{key.key}')", key.word, show=False, priority=True) for key in keys.ACTING),
        Binding("slash", "filter", show=False, priority=True),
        Binding("escape", "unfilter", show=False, priority=True),
        Binding("tab", "pane(1)", show=False, priority=True),
        Binding("shift+tab", "pane(-1)", show=False, priority=True),
        Binding("p", "pause", show=False, priority=True),
        Binding("question_mark", "keys", show=False, priority=True),
        Binding("q", "leave", show=False, priority=True),
        Binding("ctrl+c", "quit", show=False, priority=True),
    ]

    def __init__(self, source: Source, world: str | None = None, *, measured: bool = True) -> None:
        """`measured`: ask the running world what its limits measure."""
        # Where NO_COLOR is set, the terminal's own colours are the ones that can be left out altogether.
        super().__init__(ansi_color=True if os.environ.get("NO_COLOR") else None)
        self.source = source
        self.seen = Seen(world)
        self.drawings = 0
        self._acting = Acting(self)
        self._measuring = Measuring(source.name) if measured else None
        self._folds: dict[Key, bool] = {}
        self._words = Words()
        self._pane = self._list = "tried"
        self._paused_at: int | None = None
        self._drawn = self._took = 0.0
        self._due: asyncio.TimerHandle | None = None
        self._is_away = False
        self._sources = contextlib.ExitStack()

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        with Horizontal(id="panes"):
            yield Listing("held", "nothing was told of it", id="held")
            yield Listing("tried in vain", "nothing yet", id="tried")
        with VerticalScroll(id="details"):
            yield Static(id="about")
        yield Static(id="said")
        with Horizontal(id="filter"):
            yield Static("/", id="slash")
            line = Input(placeholder="words, -words", id="words")
            line.cursor_blink = False  # no timer for it
            yield line
        yield Static(id="bar")

    def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.exit)
        self._part("details", VerticalScroll).border_title = "details"
        self._sources.enter_context(self.source.followed(self.take))
        self._go_to("tried")
        self._draw()

    def on_unmount(self) -> None:
        if self._due is not None:
            self._due.cancel()
        if self._measuring is not None:
            self._measuring.stop()
        self._sources.close()

    def _part(self, name: str, kind: type[Part]) -> Part:
        # Of the view itself, whatever is laid over it.
        return self.screen_stack[0].query_one(f"#{name}", kind)

    # --- what comes

    def take(self, events: list[Event]) -> None:
        """Take events, and see that they are drawn soon."""
        for event in events:
            self.seen.feed(event)
        if self._measuring is not None and self.seen.limits and not self.source.why_not_running:
            self._measuring.wanted(self.draw_soon)
        self.draw_soon()

    def draw_soon(self) -> None:
        """Draw when it is time to."""
        if self._due is None:
            wait = max(DRAW_SECONDS, self._took * _DRAW_SHARE)
            due = max(0.0, self._drawn + wait - time.monotonic())
            self._due = asyncio.get_running_loop().call_later(due, self._draw)

    # --- drawing

    def _draw(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if self._is_away:
            return
        began = time.monotonic()
        self.drawings += 1
        live, trouble = not self.source.why_not_running, self.source.trouble
        head = heading(self.seen, self.source.name, live=live, trouble=trouble, paused_at=self._paused_at)
        self._part("head", Static).update(Text(head))
        if self._paused_at is None:
            self._draw_lists()
        self._drawn = time.monotonic()
        self._took = self._drawn - began

    def _draw_lists(self) -> None:
        now = self._measuring.now if self._measuring is not None else {}
        held = Holding(self.seen, now).items()
        self._part("held", Listing).draw(flattened(held, self._folds, self._words))
        self._part("tried", Listing).draw(flattened(tried(self.seen), self._folds, self._words))
        self.draw_selected()

    def draw_selected(self) -> None:
        """Draw what depends on the selected row."""
        lines = details(self.seen, self.subject)
        text = Text("\n").join(Text(each.text, style=STYLES[each.mark]) for each in lines)
        self._part("about", Static).update(text)
        why_not = self.source.why_not_running
        found = keys.applying(self._acting.world, self.subject, why_not_running=why_not)
        bar = keys.bar(found, self.size.width).ljust(self.size.width)
        self._part("bar", Static).update(Text(bar, style="reverse"))
        said = self._part("said", Static)
        said.update(self._acting.said)
        said.display = bool(self._acting.said)

    @property
    def subject(self) -> Subject:
        """What is selected, in the list that was visited last."""
        return self._part(self._list, Listing).subject

    # --- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keep the view's keys from what is laid over it, and its letters from a line that is typed."""
        if isinstance(self.screen, ModalScreen) and action in (*_LETTERS, "unfilter", "pane"):
            return False
        return not (isinstance(self.focused, Input) and action in _LETTERS)

    def action_act(self, key: str) -> None:
        self._acting.start(key)

    def action_pane(self, by: int) -> None:
        at = _PANES.index(self._pane) if self._pane in _PANES else 0
        self._go_to(_PANES[(at + by) % len(_PANES)])

    def _go_to(self, pane: str) -> None:
        self._part("filter", Horizontal).remove_class("open")
        self._pane = pane
        self._list = pane if pane != "details" else self._list
        screen = self.screen_stack[0]
        for each in _PANES:
            screen.set_class(each == pane, f"on-{each}")
        screen.set_focus(screen.query_one(f"#{pane}"))

    def action_filter(self) -> None:
        self._part("filter", Horizontal).add_class("open")
        # At once: Widget.focus() would wait for its turn, and the next letter would come before.
        self.screen_stack[0].set_focus(self._part("words", Input))

    def action_unfilter(self) -> None:
        self._part("words", Input).value = ""
        self._go_to(self._pane)

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "words":
            self._words = Words.of(event.value)
            self._draw_lists()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._go_to(self._pane)

    def action_pause(self) -> None:
        self._paused_at = self.seen.events if self._paused_at is None else None
        self._draw()

    def action_leave(self) -> None:
        self.exit()

    def action_keys(self) -> None:
        self.push_screen(Keys())

    def on_listing_selected(self, event: Listing.Selected) -> None:
        if event.listing.has_focus:
            self._pane = self._list = event.listing.id or self._list
        self.draw_selected()

    def on_listing_turned(self, event: Listing.Turned) -> None:
        self._folds[event.key] = event.opened
        self._draw_lists()

    def on_resize(self) -> None:
        self.draw_soon()

    async def lend_terminal(self, title: str, work: Awaitable[int]) -> int:
        """Give the terminal to `work` until it is done; events are still taken, and nothing is drawn."""
        self._is_away = True
        try:
            with self.suspend():
                print(f"{title}    (leave it, and the view is back)", flush=True)  # noqa: T201 - the terminal is plain now
                return await work
        finally:
            self._is_away = False
            self._draw()
