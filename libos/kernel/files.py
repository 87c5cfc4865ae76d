"""File system calls that Python lacks: renameat2(2), and who a thread is to file systems, setfsuid(2)."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

# renameat2(2), linux/fs.h
RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2


def rename(old_fd: int, old: bytes, new_fd: int, new: bytes, flags: int) -> None:
    """Rename relative to two directories, with RENAME_* flags. renameat2(2). Raises OSError."""
    if _libc.renameat2(old_fd, old, new_fd, new, ctypes.c_uint(flags)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), old, None, new)


def filesystem_type(fd: int) -> int:
    """The magic number of the file system that a descriptor leads to; fstatfs(2), linux/magic.h. Raises
    OSError."""
    buffer = ctypes.create_string_buffer(256)  # struct statfs has 120 bytes, and begins with f_type, a long
    if _libc.fstatfs(fd, buffer) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF


def set_file_owner(uid: int, gid: int) -> None:
    """Sets for this thread alone who it is in permission checks of file systems, and who owns what it makes.

    A uid other than 0 also takes away what root may do with files (CAP_DAC_OVERRIDE, CAP_CHOWN, CAP_FOWNER
    …) until uid 0 is set again. setfsuid(2), setfsgid(2), capabilities(7). The calls tell no error.
    """
    _libc.setfsgid(ctypes.c_uint(gid))
    _libc.setfsuid(ctypes.c_uint(uid))


def sync_filesystem(fd: int) -> None:
    """Make all that was written to the file system of a descriptor durable; syncfs(2). Raises OSError."""
    if _libc.syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
