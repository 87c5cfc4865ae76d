"""A program that uses channels. Each line that it reads is answered with one.

get PATH N     the next N bytes                  seek PATH      go back to the beginning
again PATH N   the same, by a second open        put PATH TEXT  write
"""

from __future__ import annotations

import os
import sys
from functools import cache


@cache
def opened(path: str, flags: int) -> int:
    """The first open of a file, which stays."""
    return os.open(path, flags)


def answer(words: list[str]) -> str:
    """Do what a line asks for."""
    match words:
        case ["get", path, size]:
            return os.read(opened(path, os.O_RDONLY), int(size)).decode()
        case ["again", path, size]:
            with open(path, "rb", buffering=0) as other:
                return (other.read(int(size)) or b"").decode()
        case ["seek", path]:
            return str(os.lseek(opened(path, os.O_RDONLY), 0, os.SEEK_SET))
        case ["put", path, text]:
            return str(os.write(opened(path, os.O_WRONLY), text.encode()))
        case _:
            return "what?"


if __name__ == "__main__":
    for line in sys.stdin:
        try:
            print(answer(line.split()).replace("\n", " "), flush=True)
        except OSError as error:
            print(os.strerror(error.errno or 0), flush=True)
