"""What the host's files were when the app saw them, so that a commit can tell that they changed since.

A file is known by kind, inode, size and both times of change; a directory by its mode alone, since its times
change with every name in it. Rules:

- When a run begins, the moment is kept (`since`), once the kernel's coarse clock has passed it: what changes
  from then on has a ctime that is not earlier, what changed before has an earlier one.
- Afterwards each path that the upper layer speaks of is noted once. An original whose ctime is not before
  `since` changed meanwhile: CHANGED. So did one that is not there while the app's file is a copy of one and
  its directory changed.
- So nothing is kept for what the app did not touch, and a supervisor that was killed loses nothing: whatever
  changed until the next call of libos counts as changed.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from typing import Any

from libos.kept.comparing import Found
from libos.kept.entries import ORIGIN, has
from libos.kept.tree import Tree

Identity = list[int] | str | None
CHANGED = "changed"
# clock_gettime(2): the clock of file systems' timestamps, which moves with the kernel's tick.
_REALTIME_COARSE = 5


def tick() -> int:
    """Wait until the clock of timestamps is past this moment, two of the kernel's ticks at most, and give it,
    in nanoseconds. That it has moved is not enough: a tick that comes late sets it to the time when it was
    due, and a file that was looked at since its last change is stamped by the fine clock (Linux 6.13)."""
    entered = time.clock_gettime_ns(time.CLOCK_REALTIME)
    while (now := time.clock_gettime_ns(_REALTIME_COARSE)) <= entered:
        time.sleep(0.001)
    return now


def identity(found: os.stat_result | None) -> Identity:
    """Which file it is, and in which state."""
    if found is None:
        return None
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFDIR:
        return [kind, stat.S_IMODE(found.st_mode)]
    return [kind, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


class Originals:
    """The notes of one tree, as JSON values: {"since": ns, "known": {path: identity}}."""

    def __init__(self, values: dict[str, Any] | None = None) -> None:
        values = values or {"since": 0, "known": {}}
        self.since: int = values["since"]
        self.known: dict[str, Identity] = values["known"]

    def values(self) -> dict[str, Any]:
        """What is stored."""
        return {"since": self.since, "known": self.known}

    def note(self, upper: Tree, lower: Tree, found: Iterable[Found]) -> bool:
        """Note what is new and forget what the upper layer speaks of no more; whether anything changed."""
        known = {}
        for each in found:
            path = os.fsdecode(each.path)
            known[path] = self.known[path] if path in self.known else self._first(upper, lower, each)
        changed = known != self.known
        self.known = known
        return changed

    def _first(self, upper: Tree, lower: Tree, each: Found) -> Identity:
        if each.lower is None:
            return CHANGED if self._lost(upper, lower, each) else None
        if not stat.S_ISDIR(each.lower.st_mode) and each.lower.st_ctime_ns >= self.since:
            return CHANGED
        return identity(each.lower)

    def _lost(self, upper: Tree, lower: Tree, each: Found) -> bool:
        if each.upper is None or stat.S_ISDIR(each.upper.st_mode) or not has(upper, each.path, ORIGIN):
            return False
        folder = lower.stat(each.path.rpartition(b"/")[0])
        return folder is not None and folder.st_ctime_ns >= self.since

    def conflicts(self, each: Found) -> bool:
        """Whether the host's file is not the one that the app saw."""
        return self.known.get(os.fsdecode(each.path)) != identity(each.lower)

    def renew(self, path: str, found: os.stat_result | None) -> None:
        """Note a file anew whose ctime alone changed, by a commit of another name of it."""
        known, now = self.known.get(path), identity(found)
        if isinstance(known, list) and isinstance(now, list) and known[:-1] == now[:-1]:
            self.known[path] = now
