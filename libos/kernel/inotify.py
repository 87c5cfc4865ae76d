"""Being told of changes in directories: inotify(7)."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import NamedTuple

_libc = ctypes.CDLL(None, use_errno=True)

# inotify(7), linux/inotify.h
MODIFY, ATTRIB, CLOSE_WRITE = 0x2, 0x4, 0x8
MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x40, 0x80, 0x100, 0x200
OVERFLOW, IGNORED = 0x4000, 0x8000
ONLYDIR, EXCL_UNLINK = 0x01000000, 0x04000000
# struct inotify_event without its name.
_HEAD = struct.Struct("iIII")
# Bytes read at once: some hundred events with names of usual length.
_BUFFER = 16384


class Event(NamedTuple):
    """A change of a name in the directory of a watch, or of the directory itself (b"")."""

    watch: int
    mask: int
    name: bytes


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def opened() -> int:
    """A new descriptor that does not block; inotify_init1(2). Raises OSError (EMFILE)."""
    return _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))


def add(fd: int, path: bytes, mask: int) -> int:
    """The watch of a directory; inotify_add_watch(2). Raises OSError (EACCES, ENOSPC beyond the user's
    limit)."""
    return _checked(_libc.inotify_add_watch(fd, path, ctypes.c_uint(mask)))


def remove(fd: int, watch: int) -> None:
    """Ends a watch; inotify_rm_watch(2). Raises OSError (EINVAL)."""
    _checked(_libc.inotify_rm_watch(fd, watch))


def read(fd: int) -> list[Event]:
    """What has happened, in order; empty where nothing has. Raises OSError."""
    try:
        data = os.read(fd, _BUFFER)
    except BlockingIOError:
        return []
    events: list[Event] = []
    start = 0
    while start < len(data):
        watch, mask, _, length = _HEAD.unpack_from(data, start)
        start += _HEAD.size
        events.append(Event(watch, mask, data[start : start + length].rstrip(b"\0")))
        start += length
    return events
