"""How much was recorded while a program is learned, in one line of the terminal.

Rules:
- Nothing where the app has a terminal of its own, which is then this one: the screen is the app's.
- A line a second at most, drawn when something was recorded; it is gone before anything is said of the end.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from libos.cli.progress import StatusLine

if TYPE_CHECKING:
    from libos.app import App
    from libos.events import Event
    from libos.fs.recording import Uses
    from libos.learning.observed import Observed

# Seconds between two lines.
_PERIOD = 1.0


class Progress:
    """Takes the events of a run for `observed`, and tells of it. `uses` are the app's, once it runs."""

    def __init__(self, observed: Observed, *, shown: bool) -> None:
        self.uses: Uses | None = None
        self._observed = observed
        self._line = StatusLine() if shown else None
        self._told = time.monotonic()

    def start(self, app: App) -> None:
        """The app has started."""
        self.uses = app.uses

    def note(self, event: Event) -> None:
        """Pass an event on, and show how far it is."""
        self._observed.note(event)
        if event.kind == "app.exit":
            self.end()
        elif self._line is not None and (now := time.monotonic()) >= self._told + _PERIOD:
            self._told = now
            self._line.show(f"libos: recorded until now: {self._counts()}")

    def end(self) -> None:
        """Take the line away; none follows. May be called again."""
        if self._line is not None:
            self._line.clear()
            self._line = None

    def _counts(self) -> str:
        observed = self._observed
        paths = 0 if self.uses is None else len(self.uses)
        return f"{paths:,} paths, {len(observed.dials)} addresses, {len(observed.calls)} system calls"
