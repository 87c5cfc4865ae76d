"""The worker: does timed work where it stands, in a world or outside, as it is asked by lines on stdin.

Standard library only: it runs with whatever python3 the world has. A line is a JSON array, the function's
name and its arguments; the answer is a line with the seconds that it took, or bytes a second, as JSON.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
import sys
from time import perf_counter

# Bytes asked for by one read of a file, and by one receive from a socket.
BLOCK = 1 << 20
# Small pages for everybody: whether a process gets a huge one is luck, and worth a third of a copy's speed.
# The file that is held open.
_held: list[int] = []
_buffer = mmap.mmap(-1, BLOCK)
_buffer.madvise(mmap.MADV_NOHUGEPAGE)


def start(command: list[str]) -> float:
    """Start a program and wait for its end."""
    begin = perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ)
    _, status = os.waitpid(pid, 0)
    took = perf_counter() - begin
    assert status == 0, status
    return took


def start_in(folder: str, command: list[str]) -> float:
    """Start a program in a folder, its output thrown away, and wait for its end."""
    os.chdir(folder)
    null = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    begin = perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=[null])
    _, status = os.waitpid(pid, 0)
    took = perf_counter() - begin
    assert status == 0, status
    return took


def pin(processor: int) -> float:
    """Run on this processor alone from now on."""
    os.sched_setaffinity(0, {processor})
    return 0.0


def stat_all(folder: str, times: int) -> float:
    """stat(2) each entry of a folder; seconds for one stat."""
    paths = [os.path.join(folder, name) for name in os.listdir(folder)]
    begin = perf_counter()
    for _ in range(times):
        for path in paths:
            os.stat(path)
    return (perf_counter() - begin) / (times * len(paths))


def stat_known(folder: str, times: int) -> float:
    """stat(2) each file of a folder that was just listed, from within; stats a second."""
    os.chdir(folder)
    names = os.listdir()
    for name in names:
        os.stat(name)
    begin = perf_counter()
    for _ in range(times):
        for name in names:
            os.stat(name)
    return times * len(names) / (perf_counter() - begin)


def stat_numbered(folder: str, first: int, count: int) -> float:
    """stat(2) files named by their number, which nobody has looked at before; seconds for one."""
    paths = [f"{folder}/{number}" for number in range(first, first + count)]
    begin = perf_counter()
    for path in paths:
        os.stat(path)
    return (perf_counter() - begin) / count


def read(path: str) -> float:
    """Read a file to its end; bytes a second."""
    total = 0
    begin = perf_counter()
    fd = os.open(path, os.O_RDONLY)
    try:
        while got := os.readv(fd, [_buffer]):
            total += got
    finally:
        os.close(fd)
    return total / (perf_counter() - begin)


def hold(path: str) -> float:
    """Open a file and read of it."""
    _held.append(os.open(path, os.O_RDONLY))
    return len(os.pread(_held[0], 4096, 0))


def read_until_it_fails() -> float:
    """Read the held file again and again; when a read has failed, on the clock that all processes share."""
    try:
        while True:
            os.pread(_held[0], 4096, 0)
    except OSError:
        return perf_counter()
    finally:
        os.close(_held.pop())


def receive(host: str, port: int, size: int) -> float:
    """Receive `size` bytes from the load server; bytes a second, connecting included."""
    begin = perf_counter()
    with socket.create_connection((host, port)) as connection:
        connection.sendall(size.to_bytes(8, "big"))
        left = size
        while left:
            left -= connection.recv_into(_buffer)
    return size / (perf_counter() - begin)


def ping(host: str, port: int) -> float:
    """Connect and receive one byte."""
    begin = perf_counter()
    with socket.create_connection((host, port)) as connection:
        connection.sendall((1).to_bytes(8, "big"))
        assert connection.recv_into(_buffer) == 1
    return perf_counter() - begin


if __name__ == "__main__":
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(globals()[name](*arguments)), flush=True)
