"""A tree of the host looked through once: what each file is, and whether it may be executed.

Rules:
- A file is read once, whole; what is checked are the bytes of which the digests are made. What the disk
  holds later is compared with those (`libos.fs.sealed`), so nobody can put other bytes in their place.
- No link is followed, and nothing outside the tree is read. Devices, FIFOs and sockets are left out.
- Who is not the owner of the tree's top shows of a file what anybody may.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from libos.fs.sealed import BLOCK, Sealed, digest
from libos.kernel import mounts
from libos.slots.sealing import checked
from libos.vetting.checking import Check, is_code

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_BENEATH = mounts.RESOLVE_BENEATH | mounts.RESOLVE_NO_SYMLINKS | mounts.RESOLVE_NO_MAGICLINKS
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW
# Bytes of a file, which is in memory while it is checked.
_MOST = 1 << 30


@dataclass(frozen=True)
class Inspected:
    """An entry of a tree. `problem` says why a file may not be executed, and `code` whether it is one that a
    loader would run though it is only read."""

    entry: Sealed
    problem: str = ""
    code: bool = False


def inspect(top_fd: int, check: Check, name: bytes = b"") -> Iterator[Inspected]:
    """All below a directory, parents first, or the one file of it that has a name. Blocks. Raises OSError."""
    owner = os.fstat(top_fd).st_uid
    if name:
        yield _file(top_fd, name, check, os.stat(name, dir_fd=top_fd).st_uid)
    else:
        yield from _below(top_fd, check, owner)


def inspect_signed(folder: Path, key: Ed25519PublicKey, top_fd: int, check: Check) -> Iterator[Inspected]:
    """All that the seal of a folder names, if `key` signed it; `top_fd` is the tree, its root/. Blocks.
    Raises SlotError, OSError."""
    for entry in checked(folder, key):
        if not stat.S_ISREG(entry.mode):
            yield Inspected(entry)
            continue
        try:
            data, _ = _read(top_fd, entry.path)
        except OSError:
            data = b""
        if _blocks(data) != entry.blocks:
            yield Inspected(entry, "it is not what its seal says", code=True)
        else:
            yield Inspected(entry, check.problem(data), is_code(data))


def _below(top_fd: int, check: Check, owner: int) -> Iterator[Inspected]:
    waiting = [b""]
    while waiting:
        folder = waiting.pop()
        mode, found = _listed(top_fd, folder, owner)
        yield Inspected(Sealed(folder, mode))
        for name, kind, target in found:
            path = folder + b"/" + name if folder else name
            if stat.S_ISDIR(kind):
                waiting.append(path)
            elif stat.S_ISLNK(kind):
                yield Inspected(Sealed(path, kind, target=target))
            elif stat.S_ISREG(kind):
                yield _file(top_fd, path, check, owner)


def _listed(top_fd: int, folder: bytes, owner: int) -> tuple[int, list[tuple[bytes, int, bytes]]]:
    """The mode of a directory, and what is in it: names, modes, and the targets of links."""
    fd = mounts.open_beneath(top_fd, folder or b".", _READ | os.O_DIRECTORY, _BENEATH)
    try:
        found = []
        for name in sorted(map(os.fsencode, os.listdir(fd))):
            mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
            found.append((name, mode, os.readlink(name, dir_fd=fd) if stat.S_ISLNK(mode) else b""))
        return stat.S_IFDIR | _shown(os.fstat(fd), owner), found
    finally:
        os.close(fd)


def _file(top_fd: int, path: bytes, check: Check, owner: int) -> Inspected:
    data, found = _read(top_fd, path)
    entry = Sealed(path, stat.S_IFREG | _shown(found, owner), len(data), _blocks(data))
    return Inspected(entry, check.problem(data), is_code(data))


def _read(top_fd: int, path: bytes) -> tuple[bytes, os.stat_result]:
    fd = mounts.open_beneath(top_fd, path, _READ, _BENEATH)
    with open(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, f"{os.fsdecode(path)} became another kind of file")
        data = file.read(_MOST + 1)
        if len(data) > _MOST:
            raise OSError(errno.EFBIG, f"{os.fsdecode(path)} is too large to be checked: move it away")
        return data, found


def _blocks(data: bytes) -> tuple[bytes, ...]:
    return tuple(digest(data[start : start + BLOCK]) for start in range(0, len(data), BLOCK))


def _shown(found: os.stat_result, owner: int) -> int:
    """The permission bits that are shown; the app is the owner of all that it sees."""
    mode = stat.S_IMODE(found.st_mode) & 0o777
    return mode if found.st_uid == owner else (mode & 0o7) * 0o111
