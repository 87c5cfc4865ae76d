"""What the acting keys do in the view: show the command line, ask, run it, show what it said."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich.text import Text

from libos.harmless import harmless
from libos.watch import keys
from libos.watch.commands import CannotBeError, Command, World
from libos.watch.keys import Key
from libos.watch.prompts import Confirm, Edit
from libos.watch.running import run, run_on_terminal

if TYPE_CHECKING:
    from libos.watch.screen import Watch

_KEYS = {key.key: key for key in keys.ACTING}


class Acting:
    """Runs one command at a time for a `Watch`. `said` is the last one, and what became of it."""

    def __init__(self, view: Watch) -> None:
        self._view = view
        self._busy = False
        self.said = Text("")

    @property
    def world(self) -> World:
        """What commands need to know."""
        seen = self._view.seen
        manifest = os.path.join(seen.about.folder, seen.about.manifest) if seen.about.manifest else ""
        return World(self._view.source.name, manifest, seen.grants)

    def start(self, key: str) -> None:
        """Do what a key stands for, or say why it cannot be done."""
        found, view = _KEYS[key], self._view
        if self._busy:
            self._say("the command before it still runs", "yellow")
            return
        try:
            command = keys.meaning(
                found, self.world, view.subject, why_not_running=view.source.why_not_running
            )
        except CannotBeError as reason:
            self._say(str(reason), "yellow")
            return
        view.run_worker(self._ask_and_run(found, command), exit_on_error=True)

    async def _ask_and_run(self, key: Key, command: Command) -> None:
        self._busy = True
        try:
            if (words := await self._asked(key, command)) is not None:
                await self._run(Command(words, terminal=command.terminal))
        finally:
            self._busy = False

    async def _asked(self, key: Key, command: Command) -> tuple[str, ...] | None:
        """The words to run, when the person has seen them."""
        if command.destructive:
            return command.words if await self._view.push_screen_wait(Confirm(key, command)) else None
        if command.answers or command.terminal:
            return command.words
        return await self._view.push_screen_wait(Edit(key, command))

    async def _run(self, command: Command) -> None:
        shown = f"$ {command.shown()}"
        self._say(f"{shown}  …", "")
        if command.terminal:
            status, last = await self._view.lend_terminal(shown, run_on_terminal(command.words)), ""
        else:
            status, last = await run(command.words)
        told = f"  {harmless(last)}" if last else ""
        self._say(
            f"{shown}  {'done' if status == 0 else f'status {status}'}{told}", "" if status == 0 else "red"
        )

    def _say(self, text: str, colour: str) -> None:
        self.said = Text(text, style=colour)
        self._view.draw_selected()
