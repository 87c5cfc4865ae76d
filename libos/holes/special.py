"""Sockets and FIFOs in what a world mounts of the host: who opens one reaches its other end.

That a mount is read-only keeps nobody from using one. They are looked for on the host, now: what is made
there later is not seen. What libos serves, and copies, have none: there the kernel finds other files.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from libos.plan import Bind, Plan

# Names looked at: several times what a large /usr has, in some seconds.
MOST = 2_000_000


@dataclass(frozen=True)
class Special:
    """A socket or a FIFO: its path in the world, its path on the host, and which of the two it is."""

    at: str
    path: str
    kind: str


class TooManyError(Exception):
    """There is more in what is mounted than is looked at."""


def special_files(plan: Plan, most: int = MOST) -> list[Special]:
    """All that are there now. Raises TooManyError. Folders that cannot be read are passed over: the app, who
    is no more than the caller, cannot read them either."""
    found: dict[str, Special] = {}
    looked = 0
    for step in plan.steps:
        for below, entry in _below(step.source) if isinstance(step, Bind) else ():
            looked += 1
            if looked > most:
                raise TooManyError(f"more than {most} names are mounted: {step.at} was not looked through")
            if (kind := _kind(entry)) is not None:
                at = posixpath.normpath(posixpath.join(step.at, below))
                found.setdefault(at, Special(at, entry.path, kind))
    return list(found.values())


def _below(path: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Every name below a folder, with its path from there; no link is followed."""
    waiting = [("", os.path.realpath(path))]
    while waiting:
        below, folder = waiting.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        for entry in entries:
            name = posixpath.join(below, entry.name)
            yield name, entry
            if entry.is_dir(follow_symlinks=False):
                waiting.append((name, entry.path))


def _kind(entry: os.DirEntry[str]) -> str | None:
    if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False) or entry.is_symlink():
        return None
    try:
        mode = entry.stat(follow_symlinks=False).st_mode
    except OSError:
        return None
    return "socket" if stat.S_ISSOCK(mode) else "FIFO" if stat.S_ISFIFO(mode) else None
