"""Notices: an app is told before a grant is taken from it, and has time to give it back.

Rules:
- One line an event, in the order in which they happened: `asked ID PLACE SECONDS`, then `returned ID PLACE`
  or `withdrawn ID PLACE`; `taken ID PLACE` for what was taken, whether it was asked for or not. Every reader
  gets them from the first one that is kept.
- What was taken stays listed until the world ends: the repossessed.
- Two notices of one grant end together.

Dawson R. Engler, M. Frans Kaashoek, James O'Toole Jr.: "Exokernel", SOSP 1995, 3.5: visible revocation, the
abort protocol, the repossession vector.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator

import trio

# Lines that are kept, and things that are listed as taken, each of some 100 bytes.
MOST = 1000
# Seconds that an app may be given: a day. More is a mistake in the unit.
LONGEST = 86_400.0


def require_seconds(seconds: float) -> None:
    """Raise ValueError for what is no time of a notice."""
    if not 0 <= seconds <= LONGEST:
        raise ValueError(f"a notice is of 0 to {LONGEST:g} seconds, not {seconds}")


class Notices:
    """The notices of one world. Sync but for what waits: for the trio thread alone."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=MOST)
        self._told = 0
        self._news = trio.Event()
        self._over = False
        self._asked: dict[str, trio.Event] = {}
        self._taken: deque[str] = deque(maxlen=MOST)

    async def give(self, grant: str, place: str, seconds: float) -> None:
        """Ask for a grant, and return when its app has given it back, when the time is over, or the world.
        Where that is cancelled, the app is told that nobody asks any more."""
        ended = self._asked.setdefault(grant, trio.Event())
        self._tell(f"asked {grant} {_one_word(place)} {seconds:g}")
        try:
            with trio.move_on_after(seconds):
                await ended.wait()
        except trio.Cancelled:
            if self._asked.pop(grant, None) is not None:
                self._tell(f"withdrawn {grant} {_one_word(place)}")
            raise

    def ended(self, grant: str, place: str, action: str) -> None:
        """Note that a grant is gone, by an action of its event: "drop" by the app, any other by force."""
        asked = self._asked.pop(grant, None)
        if asked is not None:
            asked.set()
        line = f"{grant} {_one_word(place)}"
        if action != "drop":
            self._taken.append(line)
            self._tell(f"taken {line}")
        elif asked is not None:
            self._tell(f"returned {line}")

    def close(self) -> None:
        """End all that waits: the world is over."""
        self._over = True
        for asked in self._asked.values():
            asked.set()
        self._news.set()

    def repossessed(self) -> str:
        """A line for each thing that was taken by force: its id and its place."""
        return "".join(f"{line}\n" for line in self._taken)

    async def lines(self) -> AsyncGenerator[str, None]:
        """Each line that is kept, then each that comes, until the world ends."""
        number = self._told - len(self._lines)
        while True:
            number = max(number, self._told - len(self._lines))
            while number < self._told:
                line = self._lines[number - self._told]
                number += 1
                yield f"{line}\n"
                number = max(number, self._told - len(self._lines))
            if self._over:
                return
            await self._news.wait()

    def _tell(self, line: str) -> None:
        self._lines.append(line)
        self._told += 1
        self._news.set()
        self._news = trio.Event()


def _one_word(place: str) -> str:
    """A place as one word of one line; white space and what is not printable is escaped."""
    return "".join(
        "\\x20" if char == " " else char if char.isprintable() else ascii(char)[1:-1] for char in place
    )
