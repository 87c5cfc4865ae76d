"""Noticing that a learner has changed a file.

Rules: a change counts from the moment at which the file was last looked at on purpose (`note`), so that one
that is saved while something else goes on is not missed. A file that has gone is no change; one that is there
again is.
"""

from __future__ import annotations

import os
from pathlib import Path

import trio

# Seconds between two looks at the file, and how long it must then stay as it is: editors write in several
# steps.
_LOOK, _SETTLE = 0.1, 0.1

Identity = tuple[int, int, int]


class Watch:
    """A file that is watched, from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _identity(path)

    def note(self) -> None:
        """Take the file as it is now for known."""
        self._known = _identity(self._path)

    async def changed(self) -> None:
        """Wait until the file is another one than the known one, and stays so for a moment."""
        while (now := _identity(self._path)) == self._known or now is None:  # noqa: ASYNC110 - no event tells
            await trio.sleep(_LOOK)
        while True:
            await trio.sleep(_SETTLE)
            if (later := _identity(self._path)) == now:
                return
            now = later


def _identity(path: Path) -> Identity | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
