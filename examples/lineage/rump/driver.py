"""A driver of romfs that is a program like any other: it reads an image, and serves the files in it by 9P.

    python3 driver.py IMAGE tcp!127.0.0.1!5640      or      unix!/PATH

It has a hole on purpose: it follows the image's symbolic links itself, on the files that it can see, as a
driver does that trusts its image. What that gives away depends on what is around it.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
import stat
import struct
import sys
from dataclasses import dataclass

import trio

from libos.fs.node import Attributes, Caller, Directory, File, Handle, Node, refusal
from libos.fs.p9.exporting import export

MAGIC = b"-rom1fs-"
LINK = 3
# Files of one image at most.
MOST = 1000


@dataclass(frozen=True)
class Entry:
    """One header of an image."""

    kind: int
    name: bytes
    data: bytes


def entries(image: bytes) -> list[Entry]:
    """What stands in the top directory of an image. ValueError for what is none."""
    if image[:8] != MAGIC:
        raise ValueError("no romfs")
    at, found = _name(image, 16)[1], []
    while at:
        after, _, size, _ = struct.unpack_from(">IIII", image, at)
        name, start = _name(image, at + 16)
        found.append(Entry(after & 7, name, image[start : start + size]))
        at = after & ~15
        if len(found) > MOST:
            raise ValueError("too many files")
    return found


def _name(image: bytes, at: int) -> tuple[bytes, int]:
    """A name, and where what follows it begins."""
    end = image.index(b"\0", at)
    return image[at:end], end // 16 * 16 + 16


class Opened(Handle):
    """What a file held when it was opened."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self, offset: int, size: int) -> bytes:
        return self._data[offset : offset + size]


class ImageFile(File):
    """A file of the image."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    def data(self) -> bytes:
        """Its content; here is the hole."""
        if self._entry.kind != LINK:
            return self._entry.data
        with open(os.fsdecode(self._entry.data), "rb") as file:
            return file.read()

    async def stat(self) -> Attributes:
        return Attributes(stat.S_IFREG | 0o444, len(self.data()))

    async def open(self, flags: int, caller: Caller) -> Handle:
        return Opened(self.data())


class ImageDirectory(Directory):
    """The top directory of the image, and a file that says which driver this is."""

    def __init__(self, found: list[Entry]) -> None:
        own = Entry(2, b"driver", secrets.token_hex(8).encode() + b"\n")
        self._files: dict[bytes, Node] = {each.name: ImageFile(each) for each in [own, *found]}

    async def stat(self) -> Attributes:
        return Attributes(stat.S_IFDIR | 0o555, 0, 2)

    async def walk(self, name: bytes) -> Node:
        if name not in self._files:
            raise refusal(errno.ENOENT, name)
        return self._files[name]

    async def readdir(self) -> list[bytes]:
        return list(self._files)


def listening(address: str) -> socket.socket:
    """A socket that listens at an address in the form of dial(2)."""
    network, _, rest = address.partition("!")
    if network == "unix":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(rest)
    else:
        host, _, port = rest.partition("!")
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
    listener.listen()
    return listener


def main(image: str, address: str) -> None:
    """Serve until killed."""
    with open(image, "rb") as file:
        root = ImageDirectory(entries(file.read()))
    with listening(address) as listener:
        print("ready", flush=True)
        trio.run(export, root, listener)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
