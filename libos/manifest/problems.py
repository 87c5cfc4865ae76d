"""What is wrong with a manifest: collected first, told in one message.

A `Problem` is one sentence about one place. `ManifestError` carries them all, a line each, in the order of
the file: `agent.toml:12:9: unknown key "alow", did you mean "allow"?`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from libos.errors import ManifestError

# Problems and characters; more would hide the first ones, which are most often the cause of the rest.
_SHOWN = 50
_LONGEST = 500


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong: where it stands, and what it is with its remedy. Line and column from 1."""

    source: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}:{self.column}" if self.line else self.source
        return one_line(f"{place}: {self.message}")


class UnreadableError(ManifestError):
    """One document cannot be read at all, for this one reason."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def error(problems: Iterable[Problem]) -> ManifestError:
    """One error for all of them; those of one file stand together, in its order."""
    unique = list(dict.fromkeys(problems))
    files = {source: rank for rank, source in enumerate(dict.fromkeys(found.source for found in unique))}
    unique.sort(key=lambda found: (files[found.source], found.line, found.column))
    lines = [str(found) for found in unique[:_SHOWN]]
    if len(unique) > _SHOWN:
        lines.append(f"and {len(unique) - _SHOWN} more errors")
    return ManifestError("\n".join(lines))


def one_line(text: str) -> str:
    """The text without line breaks and other control characters (escaped), and cut where it is very long."""
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"


def nearest(word: str, known: Iterable[str]) -> str:
    """ ", did you mean "allow"?" when a known word is near, else an empty text."""
    from difflib import get_close_matches

    matches = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f', did you mean "{matches[0]}"?' if matches else ""


def already_mounted(at: str, origin: str) -> str:
    """The sentence for a second mount at one place."""
    return (
        f'"{at}" is already mounted by {origin}; remove one of them, or an included one by "-{at}" in include'
    )


def at_origin(origin: str, message: str) -> Problem:
    """A problem where an entry was written, by the entry's origin: "agent.toml:12:1" or "profile base"."""
    match = re.fullmatch(r"(.+):([0-9]+):([0-9]+)", origin)
    if match is None:
        return Problem(origin, 0, 0, message)
    return Problem(match[1], int(match[2]), int(match[3]), message)
