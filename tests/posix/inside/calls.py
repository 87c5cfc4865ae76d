"""System calls by name, those too that Python's os has not, and what came of one as text that can be
compared. Standard library only: this runs inside worlds.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import stat
from collections.abc import Callable
from typing import Any

Call = Callable[..., Any]

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
# utimensat(2), linux/stat.h
UTIME_NOW = (1 << 30) - 1
# Seconds: times that a case has set, and not the clock.
LONG_AGO = 1_000_000
UTIME_OMIT = (1 << 30) - 2
# renameat2(2), linux/fs.h
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4


class Timespec(ctypes.Structure):
    """struct timespec."""

    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def libc(name: str, *arguments: object) -> int:
    """A function of libc by name; OSError with its errno when it gives -1."""
    result = getattr(LIBC, name)(*arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)


def attempt(call: Call, *arguments: Any) -> str:
    """What came of a call: the name of its errno, or its result as text ("ok" for none)."""
    try:
        result = call(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "ok" if result is None else repr(result)


def opened(path: bytes, flags: int, mode: int = 0o666) -> None:
    """open(2), never waiting for the other end of a FIFO, and close(2)."""
    os.close(os.open(path, flags | os.O_NONBLOCK, mode))


def chdir(path: bytes) -> None:
    """chdir(2), and back."""
    back_fd = os.open(".", os.O_PATH)
    try:
        os.chdir(path)
        os.fchdir(back_fd)
    finally:
        os.close(back_fd)


def bind(path: bytes) -> None:
    """A unix socket's name."""
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.bind(path)
        except OSError as error:
            if error.errno is None:  # Python's own: the address is too long
                raise OSError(errno.ENAMETOOLONG, str(error)) from None
            raise


def rename(old: bytes, new: bytes, flags: int = 0) -> None:
    """renameat2(2)."""
    libc("renameat2", AT_FDCWD, old, AT_FDCWD, new, ctypes.c_uint(flags))


def utimens(path: bytes, atime: tuple[int, int], mtime: tuple[int, int], flags: int = 0) -> None:
    """utimensat(2) with (seconds, nanoseconds), or UTIME_NOW, UTIME_OMIT as the latter."""
    libc("utimensat", AT_FDCWD, path, (Timespec * 2)(Timespec(*atime), Timespec(*mtime)), flags)


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    """fallocate(2)."""
    libc("fallocate", fd, mode, ctypes.c_long(offset), ctypes.c_long(length))


def access(path: bytes, mode: int) -> None:
    """access(2) with its errno."""
    libc("access", path, mode)


def attributes(path: bytes) -> list[str]:
    """The names of extended attributes."""
    return sorted(os.listxattr(path, follow_symlinks=False))


def shown(path: bytes) -> str:
    """What lstat(2) shows that is the same on every file system."""
    found = os.lstat(path)
    kind = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo"}.get(
        stat.S_IFMT(found.st_mode), oct(stat.S_IFMT(found.st_mode))
    )
    mine = "" if (found.st_uid, found.st_gid) == (os.getuid(), os.getgid()) else ", another's"
    more = ""
    if kind == "file":
        more = f", {found.st_size} bytes, {found.st_nlink} links"
    elif kind == "link":
        more = f" to {os.readlink(path)!r}, {found.st_size} bytes"
    elif kind == "fifo":
        more = f", {found.st_nlink} links"
    if kind != "0o20000" and attempt(attributes, path) not in ("[]", "ENOTSUP"):
        more += f", {attempt(attributes, path)}"
    if found.st_mtime < LONG_AGO or found.st_atime < LONG_AGO:
        # Looking at a link reads it, which some file systems note.
        times = (found.st_mtime_ns,) if kind == "link" else (found.st_atime_ns, found.st_mtime_ns)
        more += "".join(f", {time}" if time < LONG_AGO * 10**9 else ", now" for time in times)
    return f"{kind} {stat.S_IMODE(found.st_mode):o}{more}{mine}"
