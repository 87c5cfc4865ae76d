"""Where progress is kept: one file beside the learner's folders.

    $XDG_STATE_HOME/libos/tour/stops/progress.json, stops/NAME/

Rules:
- The file is replaced as a whole. One that cannot be read is put aside, and the tour begins anew: it is never
  in the way, and never lost.
- Where it cannot be written, the tour goes on without it, and says so once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from libos.kept.store import home as changes_home
from libos.tour.collection import Collection
from libos.tour.progress import Progress, Visit, parsed
from libos.tour.workspace import make_private

_FILE = "progress.json"


def tour_home() -> Path:
    """The folder of all tours of this user; it need not exist."""
    return changes_home().parent / "tour"


class Keeper:
    """The progress on one collection, in memory and on disk. `tell` is told what a person should know."""

    def __init__(self, collection: Collection, tell: Callable[[str], None]) -> None:
        self.home = tour_home() / collection.key
        self._file = self.home / _FILE
        self._tell = tell
        self._silent = False
        self.progress = self._read()

    def _read(self) -> Progress:
        try:
            return parsed(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Progress()
        except (OSError, ValueError, RecursionError) as error:
            aside = self._file.with_suffix(".broken")
            with suppress(OSError):
                os.replace(self._file, aside)
            reason = error.strerror if isinstance(error, OSError) else error
            self._tell(f"{self._file} cannot be read ({reason}): it is put aside, and progress begins anew")
            return Progress()

    def note(self, stop: str, visit: Visit) -> None:
        """Keep a visit."""
        self.write(self.progress.with_(stop, visit))

    def write(self, progress: Progress) -> None:
        """Keep all of it. Where that fails it is told once, and the tour goes on."""
        self.progress = progress
        made = self._file.with_suffix(".new")
        try:
            make_private(self.home)
            with open(made, "w", encoding="utf-8") as file:
                file.write(progress.text())
                file.flush()
                os.fsync(file.fileno())
            os.replace(made, self._file)
        except OSError as error:
            with suppress(OSError):
                made.unlink()
            if not self._silent:
                self._tell(f"{self._file}: {error.strerror}: progress is not kept")
            self._silent = True
