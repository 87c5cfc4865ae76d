"""The cgroup of one world: made before its first process, read while it runs, removed after its last.

Made by the supervisor, who is its owner, with every limit written before anybody is in it. Init puts itself
there through a descriptor of `cgroup.procs` before it starts anything: the kernel judges such a write by who
opened the file, so init needs no right of its own. cgroups(7).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

from libos.limits.finding import LEAF
from libos.limits.model import Cgroup, Controller, Place

# The files that count in either version: their name, and the word before the number where there are several.
_COUNTERS = {
    ("memory_peak", 1): ("memory", "memory.max_usage_in_bytes", ""),
    ("memory_peak", 2): ("memory", "memory.peak", ""),
    ("memory_now", 1): ("memory", "memory.usage_in_bytes", ""),
    ("memory_now", 2): ("memory", "memory.current", ""),
    ("memory_kills", 1): ("memory", "memory.oom_control", "oom_kill"),
    ("memory_kills", 2): ("memory", "memory.events", "oom_kill"),
    ("processes_peak", 1): ("pids", "pids.peak", ""),
    ("processes_peak", 2): ("pids", "pids.peak", ""),
    ("processes_now", 1): ("pids", "pids.current", ""),
    ("processes_now", 2): ("pids", "pids.current", ""),
    ("processes_refused", 1): ("pids", "pids.events", "max"),
    ("processes_refused", 2): ("pids", "pids.events", "max"),
    ("throttled", 1): ("cpu", "cpu.stat", "nr_throttled"),
    ("throttled", 2): ("cpu", "cpu.stat", "nr_throttled"),
}


class Held:
    """The folders of one world's cgroup: one in version 2, one a hierarchy in version 1."""

    def __init__(self, folders: dict[Controller, str], versions: dict[Controller, int]) -> None:
        self._folders = folders
        self._versions = versions

    @property
    def folders(self) -> list[str]:
        """Each folder once."""
        return list(dict.fromkeys(self._folders.values()))

    def place_below(self, controller: Controller, place: Place) -> Place:
        """Where a cgroup below this one is made for a controller, else at `place`."""
        if place.version != 1 or self._versions.get(controller) != 1:
            return place
        return place._replace(parent=self._folders[controller])

    def open_entries(self) -> list[int]:
        """Descriptors of `cgroup.procs`, the caller's: who writes "0" there moves in. Raises OSError."""
        with ExitStack() as stack:
            fds = []
            for folder in self.folders:
                fds.append(os.open(f"{folder}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
                stack.callback(os.close, fds[-1])
            stack.pop_all()
            return fds

    def counters(self, *, now: bool = True) -> dict[str, int]:
        """What the kernel has counted, by the names of `_COUNTERS`, what is in use `now` among it; what it
        does not count is left out."""
        found = {}
        for (name, version), (controller, file, word) in _COUNTERS.items():
            if not now and name.endswith("_now"):
                continue
            if self._versions.get(controller) == version:  # type: ignore[call-overload]  # a controller's name
                with suppress(OSError, ValueError, IndexError):
                    found[name] = _number(f"{self._folders[controller]}/{file}", word)  # type: ignore[index]  # as above
        return found

    def remove(self) -> bool:
        """Remove the folders; whether all are gone. One that still has a process stays: EBUSY."""
        gone = True
        for folder in self.folders:
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                pass
            except OSError:
                gone = False
        return gone


def below(cgroup: Cgroup, above: Sequence[Held]) -> Cgroup:
    """The cgroup of a world below others, the nearest first: below the first that has one for a controller in
    version 1. In version 2 a group with processes in it has no controlled ones below, so there it stands
    beside."""
    places = []
    for controller, place in cgroup.places:
        inside = (held.place_below(controller, place) for held in above)
        places.append((controller, next((each for each in inside if each != place), place)))
    return replace(cgroup, places=tuple(places))


def hold(cgroup: Cgroup, name: str) -> Held:
    """Make a world's cgroup and write its limits. Leaves nothing behind where it raises OSError, which then
    says what was written where."""
    held = Held(
        {controller: f"{place.parent}/{name}" for controller, place in cgroup.places},
        {controller: place.version for controller, place in cgroup.places},
    )
    try:
        _enable(cgroup.places)
        for folder in held.folders:
            _make(folder)
        for controller, place in cgroup.places:
            if place.version == 1 and controller == "cpuset":
                _inherit_memory_nodes(place.parent, f"{place.parent}/{name}")
        for setting in cgroup.settings:
            path = f"{held._folders[setting.controller]}/{setting.file}"
            if not setting.optional or os.path.exists(path):
                _write(path, setting.value)
    except OSError:
        held.remove()
        raise
    return held


def _make(folder: str) -> None:
    try:
        os.mkdir(folder)
    except FileExistsError:  # of a process of our number that was killed with all its helpers
        os.rmdir(folder)
        os.mkdir(folder)


def _enable(places: Iterable[tuple[Controller, Place]]) -> None:
    """Enable controllers of version 2 for the children of their place, which we leave first where we must."""
    for controller, place in places:
        if place.leave:
            _leave(place.parent)
        if place.enable:
            _write(f"{place.parent}/cgroup.subtree_control", f"+{controller}")


def _leave(folder: str) -> None:
    """Move everybody in a cgroup one step down: `find` has seen that these are our own processes."""
    leaf = f"{folder}/{LEAF}"
    with suppress(FileExistsError):
        os.mkdir(leaf)
    with open(f"{folder}/cgroup.procs") as file:
        pids = file.read().split()
    for pid in pids:
        with suppress(ProcessLookupError):
            _write(f"{leaf}/cgroup.procs", pid)


def _inherit_memory_nodes(parent: str, folder: str) -> None:
    """Give a cpuset the memory nodes of the one above: without them nobody can move in. cpuset(7)."""
    with open(f"{parent}/cpuset.mems") as file:
        _write(f"{folder}/cpuset.mems", file.read().strip())


def _write(path: str, value: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
    except ProcessLookupError:
        raise
    except OSError as error:
        why = error.strerror or errno.errorcode.get(error.errno or 0, "?")
        raise OSError(error.errno, f"write {value} to {path}: {why}") from error


def _number(path: str, word: str) -> int:
    with open(path) as file:
        text = file.read()
    if not word:
        return int(text)
    return next(int(line.split()[1]) for line in text.splitlines() if line.split()[0] == word)
