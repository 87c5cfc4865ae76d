"""What is laid over the view for a moment: a command to look at and confirm or edit, and the keys."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TypeVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from libos.harmless import harmless
from libos.watch.commands import Command
from libos.watch.keys import ACTING, VIEWING, Key

Answer = TypeVar("Answer")


class _Prompt(ModalScreen[Answer]):
    """Shows what a key does, and below it its command."""

    def __init__(self, key: Key, command: Command) -> None:
        super().__init__()
        self._does = key.does
        self._command = command

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(Text(self._does, style="bold"))
            yield from self._asked()

    def _asked(self) -> ComposeResult:
        """What stands below."""
        raise NotImplementedError


class Confirm(_Prompt[bool]):
    """Shows a command; y runs it, any other key does not."""

    def _asked(self) -> ComposeResult:
        yield Static(Text(f"$ {self._command.shown()}"), classes="command")
        yield Static(Text("y: run it    any other key: leave it"))

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        self.dismiss(event.key in ("y", "Y"))


class Edit(_Prompt[tuple[str, ...] | None]):
    """Shows a command in a line that can be edited; Enter runs it, Esc does not."""

    BINDINGS = [("escape", "leave", "leave it")]  # noqa: RUF012 - Textual's way

    def _asked(self) -> ComposeResult:
        line = Input(self._command.shown(), "libos COMMAND …", select_on_focus=False)
        line.disabled = not self._command.is_plain
        line.cursor_blink = False  # no timer for it
        yield line
        yield Static("", id="wrong")
        yield Static(Text("Enter: run it    Esc: leave it"))

    def on_mount(self) -> None:
        if not self._command.is_plain:
            self.set_focus(None)

    def on_key(self, event: events.Key) -> None:
        if event.key == "enter" and not self._command.is_plain:
            event.stop()
            self.dismiss(self._command.words)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value == self._command.shown():
            self.dismiss(self._command.words)
            return
        try:
            words = tuple(shlex.split(event.value))
        except ValueError as wrong:
            self._complain(f"{wrong}")
            return
        if words[:1] != ("libos",) or len(words) == 1:
            self._complain("it is a libos command: libos mount …")
            return
        self.dismiss(words)

    def _complain(self, text: str) -> None:
        self.query_one("#wrong", Static).update(Text(harmless(text), style="red"))

    def action_leave(self) -> None:
        self.dismiss(None)


class Keys(ModalScreen[None]):
    """All keys, and the command lines that they stand for; any key but the arrows leaves it."""

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box tall"):
            yield Static(Text("\n").join(_lines()))

    def on_key(self, event: events.Key) -> None:
        if event.key not in ("up", "down", "pageup", "pagedown", "home", "end"):
            event.stop()
            self.dismiss()


def _lines() -> Iterator[Text]:
    for key in (*VIEWING, *ACTING):
        yield Text(f"{key.shown:<6} {key.does}", style="bold" if key.line else "")
        for command in filter(None, key.line.split("; ")):
            yield Text(f"         {command}", style="dim")
