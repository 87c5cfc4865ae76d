"""Works with a file and a thread, then tries what the interface has not; prints what it got, as JSON."""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
from collections.abc import Callable


def answer(do: Callable[[], object]) -> str:
    """ "done", or the errno's name."""
    try:
        do()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def fork() -> None:
    """Have a child, which ends at once."""
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def thread() -> None:
    """Have a thread."""
    other = threading.Thread(target=len, args=("",))
    other.start()
    other.join()


def first_line(path: str) -> str:
    """What a name leads to, or why it leads nowhere."""
    try:
        with open(path) as file:
            return file.readline().strip()
    except OSError as error:
        return errno.errorcode[error.errno or 0]


if __name__ == "__main__":
    print(
        json.dumps(
            {
                "alone": {"thread": answer(thread), "fork": answer(fork)},
                "network": answer(lambda: socket.socket().close()),
                "monitor": {path: first_line(path) for path in ("/etc/machine-id", "/etc/hostname")},
                "narrow": {
                    "eventfd": answer(lambda: os.eventfd(0)),
                    "rename": answer(lambda: os.rename("/x", "/y")),
                },
            }
        )
    )
