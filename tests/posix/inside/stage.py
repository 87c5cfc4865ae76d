"""The directory in which a case begins, with a file of every kind, and what it looks like afterwards."""

from __future__ import annotations

import itertools
import os

from calls import attempt, shown

LONG = b"n" * 255
_numbers = itertools.count()
# Directories that were made beforehand, for a copy-on-write tree: what they hold is the host's own.
PREMADE = "made-%d"


def fill() -> None:
    """Makes, in the current directory, what the tables name."""
    for name in (b"f", b"other", b"mute", LONG, b"\xff\xfe"):
        put(name, name[:20])
    os.link(b"f", b"hard")
    for directory in (b"d", b"e", b"full", b"full/x", b"closed", b"ro", b"ro/d"):
        os.mkdir(directory)
    for name in (b"full/f", b"closed/f", b"ro/f"):
        put(name, b"below")
    for target, name in ((b"f", b"l"), (b"d", b"ld"), (b"nowhere", b"dangling"), (b"loop", b"loop")):
        os.symlink(target, name)
    os.mkfifo(b"p")
    os.chmod(b"mute", 0)
    os.chmod(b"closed", 0)
    os.chmod(b"ro", 0o555)


def put(path: bytes, data: bytes) -> None:
    """Makes or replaces a file."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(fd, data)
    os.close(fd)


def look(where: bytes = b".") -> dict[str, str]:
    """Every name that can be listed below a directory, and what it is."""
    found = {repr(where): attempt(shown, where)}
    for name in sorted(os.listdir(where)):
        path = name if where == b"." else where + b"/" + name
        found |= (
            look(path) if os.path.isdir(path) and searchable(path) else {repr(path): attempt(shown, path)}
        )
    return found


def searchable(path: bytes) -> bool:
    """Whether it is a directory, itself, that can be listed."""
    return not os.path.islink(path) and os.access(path, os.R_OK | os.X_OK)


def _names() -> list[object]:
    """The names in the directories that calls change."""
    return [attempt(_sorted, where) for where in (b".", b"d", b"full", b"full/x", b"ro")]


def _sorted(where: bytes) -> list[bytes]:
    return sorted(os.listdir(where))


class Stage:
    """A filled directory, filled anew only after a case has changed it.

    It is looked at once: what `fill` makes is always the same, and where it is not, that shows as a change.
    """

    def __init__(self) -> None:
        self._home = os.getcwd()
        self._filled: dict[str, str] = {}
        self._before: dict[str, str] = {}
        self._names: list[object] = []

    def enter(self) -> None:
        """Makes the current directory one that is as `fill` leaves it."""
        if self._before:
            return
        number = next(_numbers)
        os.chdir(self._home)
        if os.path.isdir(PREMADE % number):
            os.chdir(PREMADE % number)
        else:
            os.mkdir(f"stage-{number}")
            os.chdir(f"stage-{number}")
            fill()
        if not self._filled:
            self._filled, self._names = look(), _names()
        self._before = self._filled

    def changes(self, outcome: str) -> str:
        """What is different from the beginning, as text. After a call that failed only names are compared."""
        if outcome.isupper() and _names() == self._names:
            return ""
        after = look()
        before, self._before = self._before, {}
        if after == before:
            self._before = before
            return ""
        names = sorted({*before, *after})
        return "; ".join(
            f"{name}: {after.get(name, 'gone')}" for name in names if after.get(name) != before.get(name)
        )

    def leave(self) -> None:
        """Goes back."""
        os.chdir(self._home)
