"""Uses things up, each until it has had enough or is refused."""

import errno
import os
import signal
from collections.abc import Callable

PROCESSES, FILES, BYTES = 100, 200, 8_000_000
children: list[int] = []


def processes() -> int:
    """Start processes that wait."""
    while len(children) < PROCESSES:
        child = os.fork()
        if child == 0:
            signal.pause()
        children.append(child)
    return len(children)


def open_files() -> int:
    """Open one file many times."""
    opened = [os.open("/scratch", os.O_RDONLY) for _ in range(FILES)]
    return len(opened)


def written() -> int:
    """Write one large file."""
    with open("/scratch/large", "wb", buffering=0) as file:
        return sum(file.write(bytes(100_000)) for _ in range(BYTES // 100_000))


def attempt(name: str, use_up: Callable[[], int]) -> None:
    """Use something up, and say how much, or how it was refused."""
    try:
        print(f"{name}: {use_up()}", flush=True)
    except OSError as error:
        print(f"{name}: {errno.errorcode[error.errno or 0]}", flush=True)


attempt("processes", processes)
for child in children:
    os.kill(child, signal.SIGKILL)
attempt("bytes", written)
attempt("open files", open_files)
