"""What /proc tells of other processes: who descends from whom, and which sockets somebody has open.

What cannot be read, since its process has ended or may not be looked at, is left out. proc(5)
"""

from __future__ import annotations

import os
from collections.abc import Iterator


def below(pid: int) -> Iterator[int]:
    """The processes that descend from one, as the kernel lists them now."""
    waiting = [pid]
    while waiting:
        for child in _children(waiting.pop()):
            yield child
            waiting.append(child)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += map(int, file.read().split())
    except OSError:
        pass  # it has ended
    return found


def open_sockets(init: int) -> list[tuple[int, int]]:
    """The number of a process below `init` and the inode of a socket that it has open, for each. Takes the
    right to trace them: ptrace(2), access mode."""
    return [(pid, inode) for pid in below(init) for inode in _open_sockets(pid)]


def _open_sockets(pid: int) -> Iterator[int]:
    folder = f"/proc/{pid}/fd"
    try:
        numbers = os.listdir(folder)
    except OSError:
        return
    for number in numbers:
        try:
            link = os.readlink(f"{folder}/{number}")
        except OSError:
            continue
        if link.startswith("socket:["):
            yield int(link[8:-1])
