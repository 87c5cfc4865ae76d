"""What is used of a world's trees: which path, for what, and how often the server was asked.

Rules:
- A use is noted where the server answers it, in the server's own thread: a look at what the inode holds,
  and a count. The path is put together once, when an inode is first used.
- What the kernel answers from what it keeps is not asked for, so counts are of what the server was asked.
  The first use of a file is always seen: a listing lets the kernel keep only those of its names that were
  looked at before (`is_known`), so that who lists a directory has not looked at all that is in it.
- Only what stands in a mount is noted, under the innermost mount point that covers its path.
- At most MOST paths are kept, of MOST_BYTES in all; of what is beyond, only how many uses there were. What an
  app can have many of must not crowd out the rest: names that it made up (absent ones, and what it made or
  renamed) and those that it found are two kinds in each mount, and each gets at most as much as it leaves.
- A file that is renamed is noted under its new path from then on.

On the trio thread only; nothing here waits.
"""

from __future__ import annotations

import os
from collections import defaultdict, deque
from collections.abc import Callable, Container, Iterator
from itertools import islice
from typing import Any

from libos.fs.inodes import Inode

# Paths kept one by one, and the bytes of all of them together: some 60 MB of this process with what goes with
# each. A checkout of the Linux kernel has 90,000 files.
MOST = 200_000
MOST_BYTES = 20_000_000

# What a path is used for; a use is one of these numbers.
_NAMES = "look list read write execute create remove change follow absent"
OPERATIONS = tuple(_NAMES.split())
LOOK, LIST, READ, WRITE, EXECUTE, CREATE, REMOVE, CHANGE, FOLLOW, ABSENT = range(len(OPERATIONS))

# The flag with which the kernel opens what it executes: __FMODE_EXEC of linux/fs.h. It reaches a FUSE server.
FMODE_EXEC = 0x20

# By the access mode of open(2); its fourth value is for ioctl(2) alone.
_OPENED = {os.O_RDONLY: (READ,), os.O_WRONLY: (WRITE,), os.O_RDWR: (READ, WRITE), os.O_ACCMODE: ()}

AnyInode = Inode[Any]


class Used:
    """One path and what it was used for. `seen` has a bit for each operation; `again` how often each came
    since it was told last."""

    __slots__ = ("again", "mount", "path", "seen")

    def __init__(self, path: bytes, mount: bytes) -> None:
        self.path = path
        self.mount = mount
        self.seen = 0
        self.again: dict[int, int] | None = None

    def operations(self) -> tuple[str, ...]:
        """The names of all operations that were seen."""
        return tuple(name for number, name in enumerate(OPERATIONS) if self.seen >> number & 1)


class _Sum:
    """How many paths are kept, and their bytes."""

    def __init__(self) -> None:
        self.paths = 0
        self.bytes = 0

    def leaves_room(self, kind: _Sum, path: bytes) -> bool:
        """Whether what is left of all is more than what a kind has already."""
        return kind.paths < MOST - self.paths and kind.bytes + len(path) <= MOST_BYTES - self.bytes - len(
            path
        )

    def add(self, path: bytes) -> None:
        self.paths += 1
        self.bytes += len(path)


# Stands for each path outside every mount, and for each beyond MOST.
_OUTSIDE = Used(b"", b"")
_BEYOND = Used(b"", b"")


class Uses:
    """The uses of one world. `mount_of` gives the mount point that covers a path of the world, or None."""

    def __init__(self, mount_of: Callable[[bytes], bytes | None]) -> None:
        self._mount_of = mount_of
        self._paths: dict[bytes, Used] = {}
        self._all = _Sum()
        self._kinds: defaultdict[tuple[bytes, bool], _Sum] = defaultdict(_Sum)
        # The mount points that have a share of their own; all others, which an app may bind, have one.
        self.planned: Container[bytes] | None = None
        self._firsts: deque[tuple[Used, int]] = deque()
        self._again: dict[Used, None] = {}
        self._untold = 0
        # Grows when a directory moves, or a mount comes or goes: what inodes hold is then looked up anew.
        self._moves = 0
        # Uses of paths beyond those that are kept.
        self.beyond = 0
        # Nothing is noted before: what makes a world looks at its mount points.
        self.begun = False
        # Called when there is something to tell where there was nothing.
        self.wake: Callable[[], None] = _nobody

    def __iter__(self) -> Iterator[Used]:
        """All paths that are kept, in the order of their first use."""
        return iter(list(self._paths.values()))

    def __len__(self) -> int:
        """How many paths are kept."""
        return len(self._paths)

    def note(self, inode: AnyInode, at: bytes, operation: int) -> None:
        """Notes one use of what an inode stands for. `at` is where its tree stands in the world, b"" for the
        world's own."""
        if not self.begun:
            return
        held = inode.used
        if held is None or held[0] != self._moves:
            made = operation == CREATE or _is_made(inode)
            held = inode.used = (self._moves, self._used(at + inode.path(), made=made))
        self._count(held[1], operation)

    def note_name(self, parent: AnyInode, at: bytes, name: bytes, operation: int) -> None:
        """Notes one use of a name that leads to no inode: it is absent, or it was removed."""
        if self.begun:
            made = operation in (ABSENT, CREATE) or _is_made(parent)
            self._count(self._used(_below(at + parent.path(), name), made=made), operation)

    def is_known(self, inode: AnyInode) -> bool:
        """Whether a further look at an inode would tell nothing new."""
        held = inode.used
        if not self.begun:
            return True
        if held is None or held[0] != self._moves:
            return False
        used: Used = held[1]
        return bool(used.seen >> LOOK & 1) or used is _OUTSIDE or used is _BEYOND

    def moved(self) -> None:
        """Tells that paths may lead elsewhere than they did."""
        self._moves += 1

    def _used(self, path: bytes, *, made: bool) -> Used:
        path = path if len(path) == 1 else path.rstrip(b"/")
        used = self._paths.get(path)
        if used is not None:
            return used
        mount = self._mount_of(path)
        if mount is None:
            return _OUTSIDE
        whose = mount if self.planned is None or mount in self.planned else b""
        kind = self._kinds[whose, made]
        if not self._all.leaves_room(kind, path):
            return _BEYOND
        for each in (self._all, kind):
            each.add(path)
        used = self._paths[path] = Used(path, mount)
        return used

    def _count(self, used: Used, operation: int) -> None:
        bit = 1 << operation
        if not used.seen & bit:
            if used is _OUTSIDE:
                return
            if used is _BEYOND:
                self.beyond += 1
                self._untold += 1
            else:
                used.seen |= bit
                self._firsts.append((used, operation))
            self.wake()
        else:
            if used.again is None:
                used.again = {}
                self._again[used] = None
                self.wake()
            used.again[operation] = used.again.get(operation, 0) + 1

    # --- telling

    def firsts(self, most: int) -> list[tuple[Used, int]]:
        """Takes out the oldest `most` uses that were first of their path and operation and were not told."""
        return [self._firsts.popleft() for _ in range(min(most, len(self._firsts)))]

    def sums(self, most: int) -> list[tuple[Used, int, int]]:
        """Takes out repetitions, with their number: of `most` paths."""
        taken: list[tuple[Used, int, int]] = []
        for used in list(islice(self._again, most)):
            del self._again[used]
            again, used.again = used.again, None
            taken += [(used, operation, count) for operation, count in (again or {}).items()]
        return taken

    def untold(self) -> int:
        """Takes out how many uses there were of paths that are not kept, since this was asked last."""
        untold, self._untold = self._untold, 0
        return untold


def opened_for(flags: int) -> tuple[int, ...]:
    """What a file is opened for, by the flags of open(2) as the kernel sends them."""
    return (EXECUTE,) if flags & FMODE_EXEC else _OPENED[flags & os.O_ACCMODE]


def _is_made(inode: AnyInode) -> bool:
    """Whether the app made or renamed what an inode stands for, or a directory above it."""
    here: AnyInode | None = inode
    while here is not None:
        if here.made:
            return True
        here = here.parent
    return False


def _below(directory: bytes, name: bytes) -> bytes:
    return directory + name if directory.endswith(b"/") else directory + b"/" + name


def _nobody() -> None:
    """Nobody tells of uses."""
