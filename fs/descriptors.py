"""The O_PATH descriptors of a host tree: one an inode, the least recently used closed first.

A descriptor that `get` gave stays open until `trim` is called, which each operation does once, at its
start: so an operation that does not wait may hold several. Pinned ones are never closed by `trim`: nobody
could open them again.

All trees of the process together hold at most a quarter of its descriptors for inodes (and a few each), and
half for open files, so that one world's files leave the supervisor and the other worlds theirs.
"""

from __future__ import annotations

import os
import resource
from collections import OrderedDict

# (st_dev, st_ino): an inode of the host for as long as it is open.
Key = tuple[int, int]


def default_capacity() -> int:
    """A sixteenth of the descriptors that this process may have, at most 4096: worlds, sockets and open
    files need the rest; getrlimit(2)."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 4096 if limit == resource.RLIM_INFINITY else max(64, min(4096, limit // 16))


class Total:
    """What all host trees of this process hold. `most_opened`: open files, half of all descriptors."""

    def __init__(self) -> None:
        self.held = 0
        self.opened = 0
        self.set_limits()

    def set_limits(self) -> None:
        """Looks at the process's limit, which it may have changed; getrlimit(2)."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        limit = 1 << 20 if limit == resource.RLIM_INFINITY else limit
        self.most_held, self.most_opened = limit // 4, limit // 2

    def has_room(self, own: int) -> bool:
        """Whether a tree that has `own` files open may open another: while as many are free for others.
        However many take all they can get, the next one finds some."""
        return own < self.most_opened - self.opened


TOTAL = Total()
# Inodes that a tree may hold although the process has no more to give.
FLOOR = 16


class Descriptors:
    """Owns every descriptor that is put in."""

    def __init__(self, capacity: int) -> None:
        TOTAL.set_limits()
        self._capacity = capacity
        self._most_pinned = default_capacity()
        self._open: OrderedDict[Key, int] = OrderedDict()
        self._pinned: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._open) + len(self._pinned)

    def get(self, key: Key) -> int | None:
        """The descriptor of an inode, if there is one."""
        fd = self._open.get(key)
        if fd is None:
            return self._pinned.get(key)
        self._open.move_to_end(key)
        return fd

    def put(self, key: Key, fd: int) -> int:
        """Keeps a descriptor; the one that is kept for its inode, if there was one already."""
        present = self.get(key)
        if present is not None:
            os.close(fd)
            return present
        self._open[key] = fd
        TOTAL.held += 1
        return fd

    def pin(self, key: Key) -> None:
        """Keeps a descriptor that is there until it is dropped; where too many are kept already, only as
        long as there is room, and its file is ESTALE then."""
        if len(self._pinned) >= self._most_pinned:
            return
        fd = self._open.pop(key, None)
        if fd is not None:
            self._pinned[key] = fd

    def move(self, key: Key, new_key: Key) -> None:
        """Keeps a descriptor under another number from now on."""
        for kept in (self._open, self._pinned):
            if key in kept:
                kept[new_key] = kept.pop(key)

    def drop(self, key: Key) -> None:
        """Closes the descriptor of an inode."""
        fd = self._open.pop(key, None)
        if fd is None:
            fd = self._pinned.pop(key, None)
        if fd is not None:
            TOTAL.held -= 1
            os.close(fd)

    def trim(self) -> None:
        """Closes what is beyond the capacity."""
        while len(self._open) > self._capacity or (TOTAL.held > TOTAL.most_held and len(self._open) > FLOOR):
            TOTAL.held -= 1
            os.close(self._open.popitem(last=False)[1])

    def close(self) -> None:
        """Closes all."""
        for key in [*self._open, *self._pinned]:
            self.drop(key)
