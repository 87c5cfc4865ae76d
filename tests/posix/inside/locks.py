"""flock(2), and the record locks of fcntl(2), by process and by open file description, between processes."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator

from calls import attempt

# fcntl(2), linux/fcntl.h
F_OFD_SETLK, F_OFD_GETLK = 37, 36
OTHER = """
import fcntl, os, struct, sys
fd = os.open("f", os.O_RDWR)
try:
    if sys.argv[1] == "flock":
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        start, length = map(int, sys.argv[2:])
        lock = struct.pack("hhllixxxx", fcntl.F_WRLCK, 0, start, length, 0)
        fcntl.fcntl(fd, 37 if sys.argv[1] == "ofd" else fcntl.F_SETLK, lock)
except OSError as error:
    sys.exit(error.errno)
"""


def other(*arguments: object) -> int:
    """What another process gets: 0 or an errno."""
    words = [str(argument) for argument in arguments]
    return subprocess.run(["/usr/bin/python3", "-I", "-S", "-c", OTHER, *words]).returncode


def record(kind: int, start: int, length: int) -> bytes:
    """struct flock."""
    return struct.pack("hhllixxxx", kind, 0, start, length, 0)


def opened() -> int:
    return os.open(b"f", os.O_RDWR | os.O_CREAT)


def whole_files() -> Iterator[object]:
    fd = opened()
    yield attempt(fcntl.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB), other("flock")
    yield attempt(fcntl.flock, opened(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    yield attempt(fcntl.flock, os.dup(fd), fcntl.LOCK_EX | fcntl.LOCK_NB)
    yield attempt(fcntl.flock, fd, fcntl.LOCK_SH | fcntl.LOCK_NB), other("flock")
    yield attempt(fcntl.flock, fd, fcntl.LOCK_UN), other("flock")
    yield attempt(fcntl.flock, fd, 99)


def records_of_a_process() -> Iterator[object]:
    fd = opened()
    yield attempt(fcntl.lockf, fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 10)
    yield other("posix", 0, 10), other("posix", 15, 1), other("posix", 20, 1), other("ofd", 12, 1)
    fcntl.lockf(fd, fcntl.LOCK_UN, 5, 12)
    yield other("posix", 12, 2), other("posix", 16, 1)
    os.close(opened())  # closing any descriptor of the file lets go of all
    yield other("posix", 16, 1)
    yield attempt(fcntl.lockf, os.open(b"f", os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)


def records_of_an_open_file() -> Iterator[object]:
    fd, second = opened(), opened()
    yield attempt(fcntl.fcntl, fd, F_OFD_SETLK, record(fcntl.F_WRLCK, 0, 0))[:1]
    yield attempt(fcntl.fcntl, second, F_OFD_SETLK, record(fcntl.F_RDLCK, 0, 1))
    yield other("ofd", 5, 1), other("posix", 5, 1)
    os.close(second)
    yield other("ofd", 5, 1)
    held = struct.unpack("hhllixxxx", fcntl.fcntl(opened(), F_OFD_GETLK, record(fcntl.F_RDLCK, 0, 0)))
    yield held[0] == fcntl.F_WRLCK, held[4]
    os.close(fd)
    yield other("ofd", 5, 1)


def a_lock_goes_with_its_process() -> Iterator[object]:
    opened()
    script = (
        "import fcntl,os,sys; fcntl.flock(os.open('f',2), 2); print('held', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    holder = subprocess.Popen(["/usr/bin/python3", "-I", "-S", "-c", script], **pipes)  # type: ignore[call-overload]  # pipes
    yield holder.stdout.readline(), other("flock")
    holder.kill()
    holder.wait()
    yield attempt(fcntl.flock, opened(), fcntl.LOCK_EX)


def leases_and_owners() -> Iterator[object]:
    fd = opened()
    yield attempt(fcntl.fcntl, fd, fcntl.F_GETLEASE) in ("0", repr(fcntl.F_UNLCK))
    yield attempt(fcntl.fcntl, fd, fcntl.F_SETFL, os.O_APPEND | os.O_NONBLOCK)
    yield attempt(fcntl.fcntl, fd, 9999)


CASES = (
    whole_files,
    records_of_a_process,
    records_of_an_open_file,
    a_lock_goes_with_its_process,
    leases_and_owners,
)
