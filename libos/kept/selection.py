"""Which changes a list of gitignore patterns names, and what must go along with them.

A pattern is relative to the mount ("src/", "*.py", "!test_*"), or begins with the mount point as `libos diff`
prints it ("/work/src/"). What names a directory names all below it; the last pattern that matches a path
decides, so `'*' '!*.env'` is all but those, at any depth. A new directory goes along with a file
in it; a directory that is gone goes only when all that was in it goes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from pathspec import PathSpec

from libos.errors import ManifestError
from libos.kept.change import Entry
from libos.kept.entries import is_directory
from libos.kept.tree import above


def select(entries: Sequence[Entry], patterns: Iterable[str], at: str) -> list[Entry]:
    """The entries that the patterns name, all of them without patterns. ManifestError for a wrong one."""
    wanted = list(patterns)
    if not wanted:
        return list(entries)
    spec = _spec(wanted, at)
    named = {index for index, entry in enumerate(entries) if any(map(spec.match_file, _texts(entry)))}
    named |= _parents(entries, named)
    staying = _staying(entries, named)
    return [entry for index, entry in enumerate(entries) if index in named and _goes(entry, staying)]


def _spec(patterns: list[str], at: str) -> PathSpec[Any]:
    try:
        return PathSpec.from_lines("gitignore", [_relative(pattern, at) for pattern in patterns])
    except ValueError as error:
        raise ManifestError(f"a pattern cannot be read: {error}; write it as in a .gitignore") from error


def _relative(pattern: str, at: str) -> str:
    """A pattern with the mount point before it, anchored at the mount instead."""
    sign, rest = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
    top = at.rstrip("/")
    if not top or not rest.startswith("/"):
        return pattern
    if rest.rstrip("/") == top:
        return f"{sign}/**"
    return sign + rest[len(top) :] if rest.startswith(top + "/") else pattern


def _texts(entry: Entry) -> list[str]:
    """Each part's path as patterns see it: a directory ends with a slash."""
    texts = []
    for part in entry.parts:
        directory = is_directory(part.upper if part.upper is not None else part.lower)
        texts.append(os.fsdecode(part.path) + ("/" if directory else ""))
    return texts


def _parents(entries: Sequence[Entry], named: set[int]) -> set[int]:
    """The new directories that the named entries stand in."""
    new = {
        entry.parts[0].path: index
        for index, entry in enumerate(entries)
        if entry.change.kind in "AT" and is_directory(entry.parts[0].upper)
    }
    needed = set()
    for index in named:
        for part in entries[index].parts:
            needed |= {new[path] for path in above(part.path) if path in new}
    return needed


def _staying(entries: Sequence[Entry], named: set[int]) -> set[bytes]:
    """The directories below which something that is gone for the app stays on the host."""
    return {
        folder
        for index, entry in enumerate(entries)
        if index not in named
        for part in entry.parts
        if part.upper is None
        for folder in above(part.path)
    }


def _goes(entry: Entry, staying: set[bytes]) -> bool:
    """Whether an entry that was named can be committed; a directory goes with all that was in it."""
    return entry.change.kind != "D" or entry.parts[0].path not in staying
