"""Code that is not trusted: makes a directory and a link, opens a file; prints the answers, as JSON."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable


def answer(do: Callable[[], object]) -> str:
    """ "done", or the errno's name."""
    try:
        do()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def first_line(path: str) -> str:
    """What a file begins with."""
    with open(path) as file:
        return file.readline().strip()


if __name__ == "__main__":
    print(
        json.dumps(
            {
                "mkdir": answer(lambda: os.mkdir("/tmp/made")),
                "is there": os.path.isdir("/tmp/made"),
                "symlink": answer(lambda: os.symlink("/tmp", "/tmp/link")),
                "open": answer(lambda: first_line("/lent")),
            }
        )
    )
