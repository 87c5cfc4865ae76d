"""What a program finds where it runs: `python -m benchmarks compare` runs it in each place. Standard library
only.

Rules: one answer a question, a word or a number, as JSON on standard output; no question changes anything
that outlives the run but what it was told to write. Its one argument is a JSON object: where the canaries
are.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SECONDS = 3.0
_CLONE_NEWUSER = 0x10000000


def by_errno(work: Callable[[], object], done: str) -> str:
    """The word where it works, else the errno's name."""
    try:
        work()
    except TimeoutError:
        return "no answer"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return done


def connected(family: int, address: Any) -> Callable[[], None]:
    def work() -> None:
        with socket.socket(family) as sock:
            sock.settimeout(_SECONDS)
            sock.connect(address)

    return work


def write(path: str) -> Callable[[], None]:
    return lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def read_fd(number: int) -> Callable[[], bytes]:
    return lambda: os.pread(number, 1, 0)


def new_user_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")


def answers(told: dict[str, Any]) -> dict[str, str]:
    """Every question, in the order of the table."""
    return {
        "reads a file of your home": by_errno(Path(told["home"]).read_bytes, "yes"),
        "writes a file of your home": by_errno(write(told["home_new"]), "yes"),
        "reads the project": by_errno(Path(told["project"]).read_bytes, "yes"),
        "writes /tmp": by_errno(write(told["tmp_new"]), "yes"),
        "sees a variable of yours": "yes" if told["variable"] in os.environ else "no",
        "reads an open descriptor of yours": by_errno(read_fd(told["descriptor"]), "yes"),
        "connects to a server on your loopback": by_errno(
            connected(socket.AF_INET, ("127.0.0.1", told["port"])), "yes"
        ),
        "connects to an abstract socket of yours": by_errno(
            connected(socket.AF_UNIX, "\0" + told["abstract"]), "yes"
        ),
        "connects to an address elsewhere": by_errno(connected(socket.AF_INET, ("192.0.2.1", 443)), "yes"),
        "signals a process of yours": by_errno(lambda: os.kill(told["pid"], signal.SIGCONT), "yes"),
        "sees processes": str(sum(name.isdigit() for name in os.listdir("/proc"))),
        "makes a user namespace": by_errno(new_user_namespace, "yes"),
    }


if __name__ == "__main__":
    print(json.dumps(answers(json.loads(sys.argv[1]))))
