"""A tree whose every byte is checked against a seal as it is read.

Rules:
- Names, kinds, modes, sizes and the targets of links are the seal's: the disk is not asked for them.
- Content comes from the disk, in whole blocks, each compared with its digest before any of it is given. A
  block that differs, or is not there, is EIO, and an event says which file it is.
- The kernel keeps what it was given, which was checked. What changes on disk is met when it is read anew.
- Nothing can be changed: EROFS, or EACCES by the modes.

The idea is the kernel's dm-verity and fs-verity (filesystems/fsverity.rst), for a folder and without root.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from libos.fs.node import (
    APP,
    STATIC,
    Attributes,
    Caller,
    Directory,
    File,
    Handle,
    Node,
    ReportedError,
    Symlink,
    refusal,
)
from libos.kernel import mounts

# Bytes of a block; what the kernel reads ahead by default, kernel: admin-guide/abi (read_ahead_kb).
BLOCK = 128 << 10
_BENEATH = mounts.RESOLVE_BENEATH | mounts.RESOLVE_NO_SYMLINKS | mounts.RESOLVE_NO_MAGICLINKS
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_TRUNC


@dataclass(frozen=True)
class Sealed:
    """One entry of a seal: `path` below the top, the whole st_mode, and of a file its size in bytes and the
    digest of each block, of a link its target."""

    path: bytes
    mode: int
    size: int = 0
    blocks: tuple[bytes, ...] = ()
    target: bytes = b""


def digest(block: bytes) -> bytes:
    """The digest of a block."""
    return hashlib.sha256(block).digest()


def sealed(
    top_fd: int, entries: Iterable[Sealed], file: Callable[[int, Sealed], Node] | None = None
) -> Directory:
    """The tree of a seal, whose content lies below a directory. The descriptor stays the caller's, and must
    stay open. The entries have parents first. `file` makes the node of a file, a SealedFile unless given.
    ValueError where they are no tree."""
    root = SealedDirectory(0o555)
    folders: dict[bytes, SealedDirectory] = {b"": root}
    for entry in entries:
        folder, _, name = entry.path.rpartition(b"/")
        parent = folders.get(folder)
        if not entry.path:
            root.mode = stat.S_IMODE(entry.mode)
            continue
        if parent is None or name in (b"", b".", b"..") or name in parent.children:
            raise ValueError(f"{os.fsdecode(entry.path)} has no place in a tree")
        node = _node(top_fd, entry, file or SealedFile)
        parent.children[name] = node
        if isinstance(node, SealedDirectory):
            folders[entry.path] = node
    return root


def _node(top_fd: int, entry: Sealed, file: Callable[[int, Sealed], Node]) -> Node:
    if stat.S_ISDIR(entry.mode):
        return SealedDirectory(stat.S_IMODE(entry.mode))
    if stat.S_ISLNK(entry.mode):
        return SealedLink(entry.target)
    if stat.S_ISREG(entry.mode) and len(entry.blocks) == -(-entry.size // BLOCK):
        return file(top_fd, entry)
    raise ValueError(f"{os.fsdecode(entry.path)} is no file, directory or link")


def _attributes(kind: int, mode: int, size: int = 0, links: int = 1) -> Attributes:
    return Attributes(kind | mode & 0o555, size, links, *APP, blocks=-(-size // 512))


class SealedDirectory(Directory):
    """A directory of a seal."""

    cache = STATIC

    def __init__(self, mode: int) -> None:
        self.mode = mode
        self.children: dict[bytes, Node] = {}

    def known(self) -> Attributes:
        return _attributes(stat.S_IFDIR, self.mode, links=2)

    def at_hand(self) -> Callable[[bytes], Node | None]:
        return self.children.get

    async def walk(self, name: bytes) -> Node:
        try:
            return self.children[name]
        except KeyError:
            raise refusal(errno.ENOENT, name) from None

    async def readdir(self) -> list[bytes]:
        return list(self.children)


class SealedLink(Symlink):
    """A link of a seal."""

    cache = STATIC

    def __init__(self, target: bytes) -> None:
        self._target = target

    def known(self) -> Attributes:
        return _attributes(stat.S_IFLNK, 0o777, len(self._target))

    async def readlink(self) -> bytes:
        return self._target


class SealedFile(File):
    """A file of a seal."""

    cache = STATIC

    def __init__(self, top_fd: int, entry: Sealed) -> None:
        self._top_fd = top_fd
        self._entry = entry

    def known(self) -> Attributes:
        return _attributes(stat.S_IFREG, stat.S_IMODE(self._entry.mode), self._entry.size)

    async def open(self, flags: int, caller: Caller) -> Handle:
        if flags & _WRITING:
            raise refusal(errno.EROFS)
        try:
            how = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW
            fd = mounts.open_beneath(self._top_fd, self._entry.path, how, _BENEATH)
        except OSError as error:
            raise _broken(self._entry, error.strerror or "it cannot be opened") from None
        return SealedHandle(fd, self._entry)


def _broken(entry: Sealed, why: str) -> ReportedError:
    return ReportedError(errno.EIO, f"{os.fsdecode(entry.path)} is not what its seal says: {why}")


class SealedHandle(Handle):
    """An open file of a seal; owns its descriptor. Reads block, as those of a host tree do: they are mostly
    answered by the page cache."""

    def __init__(self, fd: int, entry: Sealed) -> None:
        self._fd = fd
        self._entry = entry

    async def read(self, offset: int, size: int) -> bytes:
        end = min(offset + size, self._entry.size)
        if offset >= end:
            return b""
        first = offset // BLOCK
        data = b"".join(self._block(number) for number in range(first, -(-end // BLOCK)))
        return data[offset - first * BLOCK : end - first * BLOCK]

    def _block(self, number: int) -> bytes:
        start = number * BLOCK
        wanted = min(BLOCK, self._entry.size - start)
        try:
            block = os.pread(self._fd, wanted, start)
        except OSError as error:
            raise _broken(self._entry, error.strerror or "it cannot be read") from None
        if digest(block) != self._entry.blocks[number]:
            raise _broken(self._entry, f"block {number} differs")
        return block

    async def close(self) -> None:
        os.close(self._fd)
