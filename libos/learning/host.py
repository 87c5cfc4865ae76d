"""What folding asks of the host: kinds of files, where links lead, what stands below a directory."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, Protocol

from libos.sensitive import is_secret

# Names below a directory that are looked at; one that has more is never folded into.
MOST_LOOKED_AT = 50_000

Kind = Literal["file", "directory", "other"]


@dataclass(frozen=True)
class Below:
    """What stands below a directory: how many files, which of them are secrets, and whether all were looked
    at (not where there are too many, or a directory cannot be read)."""

    files: int
    secrets: tuple[str, ...] = ()
    complete: bool = True


class Host(Protocol):
    """The questions. Paths are absolute."""

    def kind(self, path: str) -> Kind | None:
        """What a path leads to; None for nothing."""

    def real(self, path: str) -> str:
        """A path without links."""

    def below(self, path: str) -> Below:
        """What stands below a directory, links not followed."""


@dataclass(eq=False)
class ThisHost:
    """The answers of this machine, as the caller may see it; each is asked once."""

    _below: dict[str, Below] = field(default_factory=dict)

    def kind(self, path: str) -> Kind | None:
        return _kind(path)

    def real(self, path: str) -> str:
        return _real(path)

    def below(self, path: str) -> Below:
        if path not in self._below:
            self._below[path] = _look_below(path)
        return self._below[path]


@cache
def _kind(path: str) -> Kind | None:
    if os.path.isdir(path):
        return "directory"
    if os.path.isfile(path):
        return "file"
    return "other" if os.path.lexists(path) else None


@cache
def _real(path: str) -> str:
    return os.path.realpath(path)


def _look_below(path: str) -> Below:
    if is_secret(path):
        return Below(0, (path,))
    files, secrets = 0, list[str]()
    unread: list[OSError] = []
    for folder, folders, names in os.walk(os.path.realpath(path), onerror=unread.append):
        place = path + folder[len(os.path.realpath(path)) :]
        found = [name for name in (*folders, *names) if is_secret(f"{place}/{name}")]
        secrets += [f"{place}/{name}" for name in found]
        folders[:] = [name for name in folders if name not in found]
        files += len(names)
        if files > MOST_LOOKED_AT:
            return Below(files, tuple(secrets), complete=False)
    return Below(files, tuple(secrets), complete=not unread)
