"""The O_PATH descriptors of a host tree: one an inode, the least recently used closed first.

A descriptor that `get` gave stays open until `trim` is called, which each operation does once, at its
start: so an operation that does not wait may hold several. Pinned ones are never closed by `trim`: nobody
could open them again.
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


class Descriptors:
    """Owns every descriptor that is put in."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
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
        return fd

    def pin(self, key: Key) -> None:
        """Keeps a descriptor that is there until it is dropped."""
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
            os.close(fd)

    def trim(self) -> None:
        """Closes what is beyond the capacity."""
        while len(self._open) > self._capacity:
            os.close(self._open.popitem(last=False)[1])

    def close(self) -> None:
        """Closes all."""
        for key in [*self._open, *self._pinned]:
            self.drop(key)
