"""Taking a served tree back from a world: what is left of it answers EIO, for ever.

Each inode that the kernel still holds below the tree's top is given a node that refuses everything, and each
open file a handle that does; so nothing in the way of a request has to ask whether it was revoked. What the
kernel cached is invalidated, and what waits is answered. A page that a program has mapped is gone too: its
next use is SIGBUS, mmap(2).
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterable, Iterator
from typing import TypeVar

from libos.fs.inodes import Inode
from libos.fs.node import Attributes, Caller, Directory, File, Handle, Node, Symlink, refusal

World = TypeVar("World")


class RevokedNode(Node):
    """What stands where a node was taken back."""

    def __init__(self, kind: int) -> None:
        self.kind = kind

    def known(self) -> Attributes | None:
        return None

    async def stat(self) -> Attributes:
        raise refusal(errno.EIO)


class RevokedDirectory(RevokedNode, Directory):
    """A directory that was taken back: nothing is in it, and nothing can be made there."""

    async def walk(self, name: bytes) -> Node:
        raise refusal(errno.EIO, name)

    async def readdir(self) -> list[bytes]:
        raise refusal(errno.EIO)


class RevokedFile(RevokedNode, File):
    """A file that was taken back."""

    async def open(self, flags: int, caller: Caller) -> Handle:
        raise refusal(errno.EIO)


class RevokedSymlink(RevokedNode, Symlink):
    """A link that was taken back."""

    async def readlink(self) -> bytes:
        raise refusal(errno.EIO)


class RevokedHandle(Handle):
    """An open file whose tree was taken back."""

    async def read(self, offset: int, size: int) -> bytes:
        raise refusal(errno.EIO)

    async def write(self, offset: int, data: bytes) -> int:
        raise refusal(errno.EIO)

    async def fsync(self, *, data_only: bool) -> None:
        raise refusal(errno.EIO)


def revoked(node: Node) -> Node:
    """What answers in a node's place once it is taken back."""
    if isinstance(node, Directory):
        return RevokedDirectory(stat.S_IFDIR)
    if isinstance(node, Symlink):
        return RevokedSymlink(stat.S_IFLNK)
    if isinstance(node, File):
        return RevokedFile(stat.S_IFREG)
    return RevokedNode(node.kind)


def below(top: Inode[World], inodes: Iterable[Inode[World]]) -> Iterator[Inode[World]]:
    """The inodes at and below `top`, by where each was last found."""
    known: dict[Inode[World], bool] = {top: True}
    for inode in inodes:
        way = []
        here: Inode[World] | None = inode
        while here is not None and here not in known:
            way.append(here)
            here = here.parent
        inside = here is not None and known[here]
        known.update(dict.fromkeys(way, inside))
        if inside:
            yield inode
