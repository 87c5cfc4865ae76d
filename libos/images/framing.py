"""What tarfile may read of a stream between two entries, and whether it ended where a tar ends.

tarfile reads the headers that say more of an entry (pax, GNU's long names, maps of sparse files) whole into
memory, and takes a broken header for the end. tar(5), POSIX "pax Interchange Format".
"""

from __future__ import annotations

import math
from collections import deque

from libos.images.errors import ImageError
from libos.images.streams import Readable

# Bytes of the headers before an entry: a path has 4096 at most, and attributes 64 KiB each.
_HEADERS_MAX = 4 << 20
_BLOCK = 512
# Blocks of a stream that tarfile has read ahead of what it looks at: it reads 10 KiB at once.
_KEPT = 4


class Framed:
    """A tar's stream: call `headers` before a search for an entry and `content` before its data is read."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._left: float = _HEADERS_MAX
        self._last: deque[tuple[int, bytes]] = deque(maxlen=_KEPT)
        self._size = 0

    def headers(self) -> None:
        """What comes is headers alone."""
        self._left = _HEADERS_MAX

    def content(self) -> None:
        """What comes is content, of which there may be any amount."""
        self._left = math.inf

    def read(self, size: int = -1, /) -> bytes:
        """Of the source. ImageError for headers without end."""
        data = self._source.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ImageError(f"the headers of an entry have more than {_HEADERS_MAX} bytes")
        self._last.append((self._size, data))
        self._size += len(data)
        return data

    def judge_end(self, offset: int) -> None:
        """Whether the tar has its end, a block of zeros, at an offset. ImageError where it has something
        else there, or nothing."""
        start = self._last[0][0] if self._last else 0
        kept = b"".join(data for _, data in self._last)
        if offset < start or kept[offset - start : offset - start + _BLOCK] != bytes(_BLOCK):
            raise ImageError("it is no whole tar: it ends where it has no end")
