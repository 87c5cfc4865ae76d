"""Hoards: each takes as much as it can get of one thing that the kernel counts by user or for the machine.

hoards.py NAME        takes all, prints how much and the errno that ended it, and holds it to the end of stdin
hoards.py NAME GOAL   takes so many, prints how many, and "goal" or the errno
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import resource
import signal
import sys
from collections.abc import Callable, Iterator

# Above every limit that a test sets.
_MOST = 20_000
# io_setup(2) on x86-64 and in the generic table.
_IO_SETUP = 206 if platform.machine() == "x86_64" else 0
# shmctl(2)
_IPC_PRIVATE, _IPC_RMID, _SHM_LOCK = 0, 0, 11
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.shmat.restype = ctypes.c_void_p


def _checked(result: int) -> int:
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def signals() -> Iterator[object]:
    """Signals that wait. sigqueue(3)"""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN})
    while True:
        yield _checked(_libc.sigqueue(os.getpid(), int(signal.SIGRTMIN), None))


def timers() -> Iterator[object]:
    """POSIX timers, each of which has its signal ready. timer_create(2)"""
    while True:
        yield _checked(_libc.timer_create(1, None, ctypes.byref(ctypes.c_void_p())))


def watchers() -> Iterator[object]:
    """Instances of inotify(7)."""
    while True:
        yield _checked(_libc.inotify_init1(0))


def queues() -> Iterator[object]:
    """Message queues. mq_overview(7)"""
    name = f"/libos-{os.getpid()}".encode()
    while True:
        _checked(_libc.mq_open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600, None))
        yield _checked(_libc.mq_unlink(name))


def locked() -> Iterator[object]:
    """Pages of shared memory that stay in memory. shmctl(2)"""
    while True:
        number = _checked(_libc.shmget(_IPC_PRIVATE, resource.getpagesize(), 0o600))
        _libc.shmat(number, None, 0)  # it goes with this process
        try:
            _checked(_libc.shmctl(number, _SHM_LOCK, None))
        finally:
            _libc.shmctl(number, _IPC_RMID, None)
        yield number


def terminals() -> Iterator[object]:
    """Terminals. pty(7)"""
    while True:
        yield fcntl.fcntl(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY), fcntl.F_GETFD)


def requests() -> Iterator[object]:
    """Requests of asynchronous I/O that are ready to be made. io_setup(2)"""
    while True:
        context = ctypes.byref(ctypes.c_ulong())
        yield _checked(_libc.syscall(ctypes.c_long(_IO_SETUP), ctypes.c_long(8), context))


def processes() -> Iterator[object]:
    """Processes that wait until this one ends."""
    read_fd, write_fd = os.pipe()
    while True:
        if os.fork() == 0:
            os.close(write_fd)
            os.read(read_fd, 1)
            os._exit(0)
        yield write_fd


THINGS = {
    each.__name__: each
    for each in (signals, timers, watchers, queues, locked, terminals, requests, processes)
}


def _take(thing: Callable[[], Iterator[object]], goal: int) -> tuple[int, str]:
    taking = thing()
    for got in range(goal):
        try:
            next(taking)
        except OSError as error:
            return got, errno.errorcode[error.errno or 0]
    return goal, "goal"


if __name__ == "__main__":
    print(*_take(THINGS[sys.argv[1]], int(sys.argv[2]) if len(sys.argv) > 2 else _MOST), flush=True)
    if len(sys.argv) == 2:
        sys.stdin.read()
    os._exit(0)
