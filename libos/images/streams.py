"""Bytes that are counted and hashed as they pass, so that nothing is believed that was not read.

Rule: a digest is compared once the stream has been read to its end; whoever unpacks keeps what came out of it
aside until then.
"""

from __future__ import annotations

import gzip
import zlib
from typing import BinaryIO, Protocol, cast

from libos.images import digests
from libos.images.bounds import Count
from libos.images.errors import ImageError

_BLOCK = 1 << 20
_GZIP = b"\x1f\x8b"
_OTHERS = {b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}


class Readable(Protocol):
    """What can be read, and nothing more."""

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes; b"" at the end."""


class Hashed:
    """A stream that hashes what is read from it, as a digest of some kind."""

    def __init__(self, source: Readable, digest: str) -> None:
        self._source = source
        self._hash = digests.hashing(digest)
        self._digest = digest
        self.size = 0

    def read(self, size: int = -1, /) -> bytes:
        """Of the source, hashed."""
        data = self._source.read(size)
        self._hash.update(data)
        self.size += len(data)
        return data

    @property
    def digest(self) -> str:
        """The digest of what was read so far."""
        return f"{self._digest.partition(':')[0]}:{self._hash.hexdigest()}"

    def finish(self, what: str) -> None:
        """Read the rest, and compare. ImageError for another digest."""
        while self.read(_BLOCK):
            pass
        if self.digest != self._digest:
            raise ImageError(
                f"{what} is not what its digest says: {self._digest} is asked for, {self.digest} is there"
            )


class Unpacking:
    """The bytes of a layer, out of its compression if it has one; ImageError for what cannot be read."""

    def __init__(self, source: Hashed, count: Count) -> None:
        self._source = source
        self._count = count
        self._size = 0
        head = source.read(512)
        for magic, name in _OTHERS.items():
            if head.startswith(magic):
                raise ImageError(f"it is compressed with {name}: pack it with gzip, or not at all")
        raw = _Begun(head, source)
        self._compressed = head.startswith(_GZIP)
        self._bytes: Readable = gzip.GzipFile(fileobj=cast(BinaryIO, raw)) if self._compressed else raw

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes of the tar."""
        try:
            data = self._bytes.read(size)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ImageError(f"its gzip cannot be read: {error}") from None
        self._size += len(data)
        if self._compressed:
            self._count.judge_ratio(self._source.size, self._size)
        return data


class _Begun:
    """A stream of which a part was read already."""

    def __init__(self, head: bytes, source: Readable) -> None:
        self._head = head
        self._source = source

    def read(self, size: int = -1, /) -> bytes:
        if not self._head:
            return self._source.read(size)
        size = len(self._head) if size < 0 else size
        data, self._head = self._head[:size], self._head[size:]
        return data
