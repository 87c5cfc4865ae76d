"""A keeper whose worlds may lack a wall: for measuring what the walls cost, and for nothing else.

Rules:
- libos knows nothing of this, and has no switch for it: functions of the keeper are exchanged, by an entry
  that only walls.py starts.
- Which walls go up is a byte of a mapped file, read when a world is made: so one keeper serves all subjects,
  in turn. A mapping survives fork(2) and a change of root.
- Standard library and the keeper alone: it runs where the keeper does.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from libos.keeper import second, world
from libos.kernel import process

# Bits of the byte: what is left out.
NOTHING, LANDLOCK, FILTER, COVERS = 0, 1, 2, 4
ALL_THREE = LANDLOCK | FILTER | COVERS
TOP = Path(__file__).parent.parent


class Choice:
    """The byte, at `path`."""

    def __init__(self, path: str) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(fd, 1)
        self._memory = mmap.mmap(fd, 1)
        os.close(fd)

    def leave_out(self, walls: int) -> None:
        self._memory[0] = walls

    def lacks(self, wall: int) -> bool:
        return bool(self._memory[0] & wall)


def entry(choice: str) -> str:
    """The text of a program that is this keeper; it takes the arguments that libos gives its own."""
    return f"""import sys
sys.path.insert(0, {str(TOP)!r})
from benchmarks import unwalled
from libos.keeper.outside import main
unwalled.install({choice!r})
main(*map(int, sys.argv[1:]))
"""


def install(path: str) -> None:
    """Exchange the functions that put up the three walls that a choice may leave out."""
    choice = Choice(path)
    make_ruleset, load_filter, attach_proc = second.ruleset, process.load_seccomp_filter, world._attach_proc

    def ruleset(root: str, devices: str) -> int | None:
        return None if choice.lacks(LANDLOCK) else make_ruleset(root, devices)

    def load(program: bytes) -> None:
        if not choice.lacks(FILTER):
            load_filter(program)

    def attach(root_fd: int, proc_fd: int, masks: list[tuple[str, str]]) -> None:
        attach_proc(root_fd, proc_fd, [] if choice.lacks(COVERS) else masks)

    second.ruleset, process.load_seccomp_filter, world._attach_proc = ruleset, load, attach
