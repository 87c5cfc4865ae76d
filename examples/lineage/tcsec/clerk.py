"""A program that tries everything, and says what came of it: a line for a person, then a line of JSON.

clerk.py [--quiet]
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

OFFICE, SCRATCH = Path("/office"), Path("/scratch")


def tried(work: Callable[[], object]) -> str:
    """ "done", or the name of the errno."""
    try:
        work()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return "done"


def add(path: Path) -> None:
    """A line at the end of a file, without looking at it."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, b"the clerk was here\n")
    finally:
        os.close(fd)


def dial() -> None:
    """A word to the wire."""
    with socket.create_connection(("wire.example", 80), timeout=20) as wire:
        wire.sendall(b"the clerk was here\n")


def main() -> None:
    """Look at the scratch, leave something there, try each file and the wire."""
    left = sorted(path.name for path in SCRATCH.iterdir())
    (SCRATCH / "left").write_text("by the one before\n")
    files = {
        path.name: {
            "size": path.stat().st_size,
            "read": tried(path.read_bytes),
            "add": tried(partial(add, path)),
        }
        for path in sorted(OFFICE.iterdir())
    }
    found = {"scratch": left, "files": files, "dial": tried(dial)}
    if "--quiet" not in sys.argv:
        for name, each in files.items():
            print(f"{name}: read {each['read']}, add {each['add']}")
        print(f"dial: {found['dial']}")
    else:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
