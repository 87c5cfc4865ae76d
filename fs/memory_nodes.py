"""The files, links and special files of a tree in memory, and what they may take of its limits.

See libos.fs.memory for the rules. Each node gives back what it holds when the last one who holds it lets
go: its directory, an open handle, the server's inode table.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterable

from libos.fs.node import STATIC, Attributes, Caller, Change, File, Handle, Node, Symlink, refusal
from libos.fs.sparse import SparseBytes


class Budget:
    """What a tree may still take; ENOSPC when there is no more."""

    def __init__(self, bytes_left: int, nodes_left: int) -> None:
        self.bytes_left = bytes_left
        self.nodes_left = nodes_left

    def charge(self, size: int) -> None:
        """Takes bytes, or gives them back when negative."""
        if size > self.bytes_left:
            raise refusal(errno.ENOSPC)
        self.bytes_left -= size

    def node(self) -> None:
        """Takes one node."""
        if self.nodes_left < 1:
            raise refusal(errno.ENOSPC)
        self.nodes_left -= 1


class MemoryNode(Node):
    """What every node of the tree has: owner, mode, times, extended attributes."""

    cache = STATIC

    def __init__(self, budget: Budget, mode: int, owner: tuple[int, int]) -> None:
        budget.node()
        self.budget = budget
        self.mode = stat.S_IMODE(mode)
        self.uid, self.gid = owner
        self.links = 1
        self.device = 0
        self.atime = self.mtime = self.ctime = time.time_ns()
        self.xattrs: dict[bytes, bytes] = {}

    def __del__(self) -> None:
        budget = getattr(self, "budget", None)
        if budget is not None:  # None: there was no room for it
            budget.nodes_left += 1
            budget.bytes_left += self.cost()

    def cost(self) -> int:
        """Bytes that it holds of the budget."""
        return sum(map(len, self.xattrs)) + sum(map(len, self.xattrs.values()))

    def size(self) -> int:
        """The size that stat(2) shows."""
        return 0

    def known(self) -> Attributes:
        size = self.size()
        blocks = (self.held() + 511) // 512
        times = (self.atime, self.mtime, self.ctime)
        return Attributes(
            self.kind | self.mode, size, self.links, self.uid, self.gid, self.device, *times, blocks
        )

    def held(self) -> int:
        """Bytes of content that are really there."""
        return self.size()

    def changed(self, *, content: bool = False) -> None:
        """Sets the times after a change."""
        self.ctime = time.time_ns()
        if content:
            self.mtime = self.ctime

    async def setattr(self, change: Change) -> Attributes:
        if change.size is not None:
            self.resize(change.size)
        if change.uid is not None or change.gid is not None:
            self.uid = self.uid if change.uid is None else change.uid
            self.gid = self.gid if change.gid is None else change.gid
            self.drop_privilege_bits()
        if change.mode is not None:
            self.mode = stat.S_IMODE(change.mode)
        self.changed()
        self.atime = self.atime if change.atime is None else change.atime
        self.mtime = self.mtime if change.mtime is None else change.mtime
        return self.known()

    def resize(self, size: int) -> None:
        """truncate(2)."""
        raise refusal(errno.EISDIR if self.kind == stat.S_IFDIR else errno.EINVAL)

    def drop_privilege_bits(self) -> None:
        """Clears set-user-id, and set-group-id where it is not a sign of mandatory locking; not on
        directories."""
        if self.kind != stat.S_IFDIR:
            self.mode &= ~stat.S_ISUID
            if self.mode & stat.S_IXGRP:
                self.mode &= ~stat.S_ISGID

    async def getxattr(self, name: bytes) -> bytes:
        _check_xattr(name)
        try:
            return self.xattrs[name]
        except KeyError:
            raise refusal(errno.ENODATA) from None

    async def listxattr(self) -> Iterable[bytes]:
        return list(self.xattrs)

    async def setxattr(self, name: bytes, value: bytes) -> None:
        _check_xattr(name)
        old = self.xattrs.get(name)
        self.budget.charge(len(value) - len(old) if old is not None else len(name) + len(value))
        self.xattrs[name] = value
        self.changed()

    async def removexattr(self, name: bytes) -> None:
        value = await self.getxattr(name)
        del self.xattrs[name]
        self.budget.charge(-len(name) - len(value))
        self.changed()


def _check_xattr(name: bytes) -> None:
    """Only attributes of users are kept: xattr(7). EINVAL for the prefix alone."""
    if not name.startswith(b"user."):
        raise refusal(errno.ENOTSUP)
    if name == b"user.":
        raise refusal(errno.EINVAL)


class MemoryFile(MemoryNode, File):
    """A regular file."""

    def __init__(self, budget: Budget, mode: int, owner: tuple[int, int]) -> None:
        super().__init__(budget, mode, owner)
        self.content = SparseBytes(budget.charge)

    def cost(self) -> int:
        content = getattr(self, "content", None)
        return super().cost() + (content.held if content else 0)

    def size(self) -> int:
        return self.content.size

    def held(self) -> int:
        return self.content.held

    def resize(self, size: int) -> None:
        self.content.truncate(size)
        self.drop_privilege_bits()
        self.changed(content=True)

    async def open(self, flags: int, caller: Caller) -> Handle:
        if flags & os.O_TRUNC:
            self.resize(0)
        return MemoryHandle(self, flags)


class MemoryHandle(Handle):
    """An open file. The kernel has checked the access mode of each read and write; we check it for who has
    no kernel."""

    def __init__(self, file: MemoryFile, flags: int) -> None:
        self._file = file
        self._access = flags & os.O_ACCMODE
        self._append = bool(flags & os.O_APPEND)

    async def read(self, offset: int, size: int) -> bytes:
        if self._access == os.O_WRONLY:
            raise refusal(errno.EBADF)
        return self._file.content.read(offset, size)

    async def write(self, offset: int, data: bytes) -> int:
        if self._access == os.O_RDONLY:
            raise refusal(errno.EBADF)
        if self._append:
            offset = self._file.content.size
        self._file.content.write(offset, data)
        self._file.drop_privilege_bits()
        self._file.changed(content=True)
        return len(data)


class MemoryLink(MemoryNode, Symlink):
    """A symbolic link."""

    def __init__(self, budget: Budget, target: bytes, owner: tuple[int, int]) -> None:
        self.target = b""
        super().__init__(budget, 0o777, owner)
        budget.charge(len(target))
        self.target = target

    def cost(self) -> int:
        return super().cost() + len(self.target)

    def size(self) -> int:
        return len(self.target)

    async def readlink(self) -> bytes:
        return self.target


class MemorySpecial(MemoryNode):
    """A FIFO or a socket: only its name and attributes are here, the kernel does the rest."""

    def __init__(self, budget: Budget, mode: int, owner: tuple[int, int]) -> None:
        super().__init__(budget, mode, owner)
        self.kind = stat.S_IFMT(mode)
