"""Patterns of gitignore(5), as git reads them: the last one that matches decides, `!` takes back."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

# Decisions kept: some 200 bytes each. A tree that a program works in has fewer names in use.
KEPT = 1 << 15


class Patterns:
    """Patterns compiled. ValueError, with the pattern, for one that cannot be read."""

    def __init__(self, lines: Iterable[str]) -> None:
        if isinstance(lines, str):
            raise TypeError("patterns are a list of strings, not one string")
        self.lines = tuple(lines)
        for line in self.lines:
            _check(line)
        self._spec = _spec(self.lines)
        self.match = functools.lru_cache(KEPT)(self._match)

    def _match(self, path: bytes, directory: bool) -> bool:
        """Whether a path, or a directory above it, is matched."""
        text = os.fsdecode(path)
        return self._spec.match_file(text + "/" if directory else text)

    @property
    def by_place(self) -> bool:
        """Whether a name's directory matters, so that a rename of the directory may change the decision: it
        does where a pattern names a place, and where one takes back what a directory holds."""
        return any(line.startswith("!") or "/" in _body(line).rstrip("/") for line in self.lines)

    def leading(self) -> Leading:
        """The directories in which something might match."""
        return Leading(self.lines)


class Leading:
    """The directories that may lead to a match: those on the way that a pattern names, and all of them where
    it names none."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._anywhere = False
        self._levels: list[tuple[int | None, GitIgnoreSpec]] = []
        for line in lines:
            if not line.startswith("!"):
                self._learn(_body(line).rstrip("/"))

    def _learn(self, body: str) -> None:
        parts = body.lstrip("/").split("/")
        if len(parts) == 1 and not body.startswith("/"):
            self._anywhere = True
        for count in range(1, len(parts)):
            if parts[count - 1] == "**":
                way = "/".join(parts[: count - 1])
                self._anywhere = self._anywhere or not way
                self._levels += [(None, _spec([f"/{way}/"]))] if way else []
                return
            self._levels.append((count, _spec([f"/{'/'.join(parts[:count])}/"])))

    def match(self, path: bytes) -> bool:
        """Whether a directory may lead to a match."""
        depth = path.count(b"/") + 1
        text = os.fsdecode(path) + "/"
        return self._anywhere or any(
            level in (None, depth) and spec.match_file(text) for level, spec in self._levels
        )


def _spec(lines: Iterable[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec  # 7 ms, which a world without patterns does not pay

    # The simple backend: the others take no names that are not UTF-8.
    return GitIgnoreSpec.from_lines(map(_inside, lines), backend="simple")


def _inside(line: str) -> str:
    """`d/**` as `d/*`: all that is in d and not d itself, which the library takes for a match when it is
    written as a directory, d/."""
    body = line.rstrip(" ")
    return body.removesuffix("*") if body.endswith("/**") else line


def _check(line: str) -> None:
    if not isinstance(line, str) or not line.strip() or "\n" in line or "\0" in line:
        raise ValueError(f"a pattern is one line and not empty, as in a .gitignore: {line!r}")
    if line.startswith("#"):
        raise ValueError(f"{line!r} is a comment; for a name that begins with # write \\#")
    try:
        _spec([line])
    except ValueError as wrong:
        raise ValueError(f"{line!r} is no gitignore pattern: {wrong}") from None


def _body(line: str) -> str:
    """A pattern without `!` and without the `**/` that says nothing."""
    body = line.strip().removeprefix("!")
    while body.removeprefix("/").startswith("**/"):
        body = body.removeprefix("/").removeprefix("**/")
    return body
