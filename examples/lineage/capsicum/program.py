"""A program that uses its descriptors by their names. Each line that it reads is answered with one.

enter           give up all names                 read NAME        what is next
open PATH       by a name                         write NAME TEXT  write
dial HOST PORT  connect                           seek NAME        go to the beginning
                                                  cut NAME         truncate
"""

from __future__ import annotations

import os
import socket
import sys

# sd_listen_fds(3): the first descriptor, and the names of all.
FIRST = 3
HELD = {name: FIRST + place for place, name in enumerate(os.environ["LISTEN_FDNAMES"].split(":"))}


def answer(words: list[str]) -> object:
    """Do what a line asks for."""
    match words:
        case ["enter"]:
            return os.write(HELD["enter"], b"\n")
        case ["open", path]:
            os.close(os.open(path, os.O_RDONLY))
            return "open"
        case ["dial", host, port]:
            with socket.socket() as dialed:
                dialed.connect((host, int(port)))
            return "connected"
        case ["read", name]:
            return os.read(HELD[name], 100).decode().strip()
        case ["write", name, text]:
            return os.write(HELD[name], text.encode())
        case ["seek", name]:
            return os.lseek(HELD[name], 0, os.SEEK_SET)
        case ["cut", name]:
            os.ftruncate(HELD[name], 0)
            return "cut"
        case _:
            return "what?"


if __name__ == "__main__":
    for line in sys.stdin:
        try:
            print(answer(line.split()), flush=True)
        except OSError as error:
            print(os.strerror(error.errno or 0), flush=True)
