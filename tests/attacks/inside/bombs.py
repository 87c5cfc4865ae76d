"""Bombs: each takes as much of one thing as it may have, at most `goal`, and prints how much it got.

bombs.py NAME GOAL [PLACE]   prints a number, and the errno that stopped it or "goal"
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

PAGE = 4096
BLOCK = 1 << 16


def forks(_place: str) -> Iterator[int]:
    """Processes that wait until this one ends."""
    read_fd, write_fd = os.pipe()
    while True:
        if os.fork() == 0:
            os.close(write_fd)
            os.read(read_fd, 1)
            os._exit(0)
        yield 1


def zombies(_place: str) -> Iterator[int]:
    """Processes that have ended, and for which nobody has waited."""
    while True:
        if os.fork() == 0:
            os._exit(0)
        yield 1


def orphans(_place: str) -> Iterator[int]:
    """Processes whose parent ends at once: they end as children of process 1, for which this one waits where
    they are as many as may be."""
    while True:
        child = _forked()
        if child == 0:
            _forked()
            os._exit(0)
        os.waitpid(child, 0)
        yield 1


def _forked() -> int:
    while True:
        try:
            return os.fork()
        except BlockingIOError:
            time.sleep(0.001)


def alarms(_place: str) -> Iterator[int]:
    """Descriptors of timers that have run out, amid ten thousand signals a second."""
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)
    libc = ctypes.CDLL(None, use_errno=True)
    often = (ctypes.c_long * 4)(0, 1, 0, 1)  # struct itimerspec
    while True:
        timer_fd = libc.timerfd_create(time.CLOCK_MONOTONIC, 0)
        if timer_fd == -1:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        libc.timerfd_settime(timer_fd, 0, often, None)
        yield 1


def threads(_place: str) -> Iterator[int]:
    """Threads that wait."""
    waiting = threading.Event()
    while True:
        try:
            threading.Thread(target=waiting.wait, daemon=True).start()
        except RuntimeError as refused:  # "can't start new thread"
            raise OSError(errno.EAGAIN, str(refused)) from refused
        yield 1


def memory(_place: str) -> Iterator[int]:
    """Memory of this process, each page of it written."""
    held = []
    while True:
        try:
            held.append(bytearray(b"x") * (1 << 20))
        except MemoryError as refused:
            raise OSError(errno.ENOMEM, "no memory") from refused
        yield 1 << 20


def shared_memory(_place: str) -> Iterator[int]:
    """The same as anonymous shared memory, which no limit of private memory counts."""
    held = []
    while True:
        held.append(mmap.mmap(-1, 1 << 20))
        for page in range(0, 1 << 20, PAGE):
            held[-1][page] = 1
        yield 1 << 20


def memory_of_many(_place: str) -> Iterator[int]:
    """Memory of sixteen processes, each of them with little; a child that is killed is no news to it."""
    for _ in range(16):
        read_fd, write_fd = os.pipe()
        if os.fork() == 0:
            held = bytearray(b"x") * (16 << 20)
            os.write(write_fd, b"%d" % held[0])
            threading.Event().wait()
        os.close(write_fd)
        if not os.read(read_fd, 3):
            raise OSError(errno.ENOMEM, "a child was killed")
        yield 16 << 20


def descriptors(_place: str) -> Iterator[int]:
    """Open files."""
    while True:
        os.open("/dev/null", os.O_RDONLY)
        yield 1


def disk(place: str) -> Iterator[int]:
    """Bytes of one file."""
    fd = os.open(f"{place}/bomb", os.O_CREAT | os.O_WRONLY, 0o600)
    while True:
        yield os.write(fd, b"x" * BLOCK)


def inodes(place: str) -> Iterator[int]:
    """Empty files."""
    number = 0
    while True:
        os.close(os.open(f"{place}/{number}", os.O_CREAT | os.O_WRONLY, 0o600))
        number += 1
        yield 1


def spin(_place: str) -> Iterator[int]:
    """Milliseconds of the processor."""
    began = time.process_time()
    while True:
        before = time.process_time()
        while time.process_time() < before + 0.01:
            pass
        yield int((time.process_time() - began) * 1000) - int((before - began) * 1000)


def output(_place: str) -> Iterator[int]:
    """Bytes to standard output."""
    while True:
        yield os.write(1, b"x" * 1000 + b"\n")


BOMBS: tuple[Callable[[str], Iterator[int]], ...] = (
    *(forks, zombies, orphans, alarms, threads, memory, shared_memory, memory_of_many),
    *(descriptors, disk, inodes, spin, output),
)


def main(name: str, goal: int, place: str = "/tmp") -> None:
    got, stopped = 0, "goal"
    (bomb,) = (each for each in BOMBS if each.__name__ == name)
    taking = bomb(place)
    try:
        while got < goal:
            got += next(taking)
    except OSError as error:
        stopped = errno.errorcode[error.errno or 0]
    print(got, stopped, file=sys.stderr if name == "output" else sys.stdout, flush=True)
    os._exit(0)


main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
