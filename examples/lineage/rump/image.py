"""Makes an image of romfs, the read-only file system of Linux's filesystems/romfs.rst.

A header is next[4] info[4] size[4] checksum[4] and a name that is padded to 16 bytes; the content follows.
The lowest four bits of `next` are the type and whether it may be executed. Numbers are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

DIRECTORY, FILE, LINK = 1, 2, 3
MAGIC = b"-rom1fs-"


def padded(data: bytes) -> bytes:
    """Data with zeros up to a multiple of 16 bytes."""
    return data + b"\0" * (-len(data) % 16)


def summed(block: bytes) -> bytes:
    """A header, its checksum (the fourth word) set so that all words add up to 0."""
    total = sum(word for (word,) in struct.iter_unpack(">I", block))
    return block[:12] + struct.pack(">I", -total & 0xFFFFFFFF) + block[16:]


def image(files: Mapping[str, bytes], links: Mapping[str, bytes]) -> bytes:
    """An image of one directory: files by their content, symbolic links by where they lead."""
    volume = padded(b"rump\0")
    entries = [(name, FILE, data) for name, data in files.items()]
    entries += [(name, LINK, target) for name, target in links.items()]
    made, at = b"", 16 + len(volume)
    for number, (name, kind, data) in enumerate(entries):
        shown, content = padded(name.encode() + b"\0"), padded(data)
        after = at + 16 + len(shown) + len(content) if number < len(entries) - 1 else 0
        made += summed(struct.pack(">IIII", after | kind, 0, len(data), 0) + shown) + content
        at += 16 + len(shown) + len(content)
    # The checksum is of the first 512 bytes, or of all where there are fewer.
    whole = MAGIC + struct.pack(">II", 16 + len(volume) + len(made), 0) + volume + made
    return summed(whole[:512]) + whole[512:]
