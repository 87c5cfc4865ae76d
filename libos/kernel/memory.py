"""The memory of another process, by /proc/PID/mem. proc_pid_mem(5).

Reading and writing need what ptrace(2) needs. A page that a file server has to give makes whoever reads wait.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# The highest address that pread(2) can be asked for.
_LAST = (1 << 63) - 1


def read(thread: int, address: int, size: int, is_still: Callable[[], bool]) -> bytes:
    """What stands at an address, at most `size` bytes: fewer where the memory ends.

    `is_still` says whether `thread` still is who was meant; it is asked once the memory is open and again
    after it was read. Raises ProcessLookupError where it is not, and OSError: EFAULT where nothing is there.
    """
    fd = _opened(thread, os.O_RDONLY, is_still)
    try:
        data = _at(address, lambda: os.pread(fd, size, address))
    finally:
        os.close(fd)
    _check(is_still)
    return data


def write(thread: int, address: int, data: bytes, is_still: Callable[[], bool]) -> None:
    """Write to an address. Raises as `read` does."""
    fd = _opened(thread, os.O_WRONLY, is_still)
    try:
        if _at(address, lambda: os.pwrite(fd, data, address)) != len(data):
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
    finally:
        os.close(fd)


def _opened(thread: int, flags: int, is_still: Callable[[], bool]) -> int:
    try:
        fd = os.open(f"/proc/{thread}/mem", flags | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH)) from None
    try:
        _check(is_still)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check(is_still: Callable[[], bool]) -> None:
    if not is_still():
        raise ProcessLookupError(errno.ESRCH, "the call that this memory belongs to is over")


def _at(address: int, do: Callable[[], T]) -> T:
    if not 0 < address < _LAST:
        raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
    try:
        return do()
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise OSError(errno.EFAULT, os.strerror(errno.EFAULT)) from None
