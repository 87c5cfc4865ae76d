"""A program that uses what it holds. Each line that it reads is answered with one.

read PATH    what is in the file         open PATH    open it, and keep it open
write PATH   write a line into it        again        what is in the open file now
dial IP PORT connect to an address
"""

from __future__ import annotations

import os
import socket
import sys

held: list[int] = []


def answer(words: list[str]) -> str:
    """Do what a line asks for."""
    match words:
        case ["read", path]:
            with open(path) as file:
                return file.read().strip()
        case ["write", path]:
            with open(path, "a") as file:
                file.write("written\n")
            return "written"
        case ["open", path]:
            held.append(os.open(path, os.O_RDONLY))
            return "open"
        case ["dial", host, port]:
            socket.create_connection((host, int(port)), timeout=20).close()
            return "connected"
        case ["again"]:
            return os.pread(held[-1], 100, 0).decode().strip()
        case _:
            return "what?"


if __name__ == "__main__":
    for line in sys.stdin:
        try:
            print(answer(line.split()), flush=True)
        except OSError as error:
            print(os.strerror(error.errno or 0), flush=True)
