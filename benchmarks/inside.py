"""The worker: does timed work where it stands, in a world or outside, as it is asked by lines on stdin.

Standard library only: it runs with whatever python3 the world has. A line is a JSON array, the function's
name and its arguments; the answer is a line with the seconds that it took, or bytes a second, as JSON.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import selectors
import socket
import sys
import threading
from time import perf_counter

# Bytes asked for by one read of a file, and by one receive from a socket.
BLOCK = 1 << 20
# The file that is held open.
_held: list[int] = []
# The connections that are.
_connections: list[socket.socket] = []


def buffer() -> mmap.mmap:
    """Small pages for everybody: whether a process gets a huge one is luck, and worth a third of a copy's
    speed."""
    made = mmap.mmap(-1, BLOCK)
    made.madvise(mmap.MADV_NOHUGEPAGE)
    return made


_buffer = buffer()


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


def ready() -> float:
    """Nothing: the answer says that it is where it was started."""
    return 0.0


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


def receive(host: str, port: int, size: int, streams: int = 1) -> float:
    """Receive `size` bytes from the load server, by several streams at once; bytes a second, connecting
    included."""
    buffers = [buffer() for _ in range(streams)]
    threads = [
        threading.Thread(target=_receive, args=(host, port, size // streams, each)) for each in buffers
    ]
    begin = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return size / (perf_counter() - begin)


def _receive(host: str, port: int, size: int, into: mmap.mmap) -> None:
    with socket.create_connection((host, port)) as connection:
        connection.sendall(size.to_bytes(8, "big"))
        left = size
        while left:
            got = connection.recv_into(into)
            if not got:
                os.abort()  # nobody shall take an early end for speed
            left -= got


def ping(host: str, port: int) -> float:
    """Connect and receive one byte."""
    begin = perf_counter()
    with socket.create_connection((host, port)) as connection:
        assert connection.recv_into(_buffer) == 1
    return perf_counter() - begin


def connect_many(host: str, port: int, count: int, at_once: int) -> float:
    """Connect, receive one byte and close, again and again, so many on their way; those a second."""
    ready = selectors.EpollSelector()

    def connect() -> None:
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex((host, port))
        ready.register(connection, selectors.EVENT_READ)

    begin = perf_counter()
    for _ in range(at_once):
        connect()
    left, to_start = count, count - at_once
    while left:
        for key, _ in ready.select():
            ready.unregister(key.fd)
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            with connection:
                assert connection.recv_into(_buffer) == 1
            left -= 1
            if to_start:
                to_start -= 1
                connect()
    return count / (perf_counter() - begin)


def hold_connections(host: str, port: int, count: int) -> float:
    """Connect so many times, receive one byte by each, and keep all of them; how many are kept."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for _ in range(count):
        connection = socket.create_connection((host, port))
        assert connection.recv_into(_buffer) == 1
        _connections.append(connection)
    return len(_connections)


def request_many(host: str, port: int, count: int) -> float:
    """HTTP requests one after another by one connection; requests a second."""
    request = f"GET /some/path HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: */*\r\n\r\n".encode()
    begin = perf_counter()
    with socket.create_connection((host, port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            connection.sendall(request)
            got = b""
            while not got.endswith(b"\r\n\r\nok"):
                chunk = connection.recv(65536)
                assert chunk, got
                got += chunk
            assert got.startswith(b"HTTP/1.1 200 "), got
    return count / (perf_counter() - begin)


if __name__ == "__main__":
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(globals()[name](*arguments)), flush=True)
