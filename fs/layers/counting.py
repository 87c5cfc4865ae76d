"""Counted: what passes is counted and may be limited; more is EDQUOT.

Rules:
- An operation counts when it reaches libos: the kernel cuts a long read(2) into pieces. Nothing is kept by
  the kernel, so each use counts, of all processes together; shared mappings are ENODEV.
- A read or write that crosses the limit passes what is left, and the next one is EDQUOT. Reading at the end
  of a file is a read of 0 bytes.
- The sums are SHA-256 over the bytes of each direction, in the order in which they passed.
"""

from __future__ import annotations

import errno
import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

from libos.fs.layers.layer import Call, Layer, Proceed
from libos.fs.node import Cache, refusal


@dataclass
class Direction:
    """What passed one way, and what may."""

    most: int | None = None
    most_bytes: int | None = None
    count: int = 0
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def begin(self) -> None:
        """Counts an operation, or EDQUOT."""
        left = self.left
        if (self.most is not None and self.count >= self.most) or (left is not None and left <= 0):
            raise refusal(errno.EDQUOT)
        self.count += 1

    @property
    def left(self) -> int | None:
        """Bytes that may still pass; None for no limit."""
        return None if self.most_bytes is None else self.most_bytes - self.size

    def passed(self, data: bytes) -> None:
        """Counts bytes."""
        self.size += len(data)
        self.digest.update(data)


class Counted(Layer):
    """Counts reads and writes."""

    operations = frozenset({"read", "write"})

    def __init__(
        self,
        *,
        reads: int | None = None,
        bytes_read: int | None = None,
        writes: int | None = None,
        bytes_written: int | None = None,
    ) -> None:
        """None: no limit. ValueError for a negative one."""
        if any(limit is not None and limit < 0 for limit in (reads, bytes_read, writes, bytes_written)):
            raise ValueError("a limit is 0 or more")
        self.reading = Direction(reads, bytes_read)
        self.writing = Direction(writes, bytes_written)

    def cache(self, cache: Cache, path: bytes) -> Cache:
        return replace(cache, content=False, direct=True)

    async def around(self, call: Call, proceed: Proceed) -> Any:
        return await (self._read(proceed) if call.operation == "read" else self._write(call, proceed))

    async def _read(self, proceed: Proceed) -> bytes:
        reading = self.reading
        reading.begin()
        data: bytes = await proceed()
        left = reading.left  # others may have read meanwhile
        if left is not None and len(data) > left:
            if left <= 0:
                raise refusal(errno.EDQUOT)
            data = bytes(data[:left])
        reading.passed(data)
        return data

    async def _write(self, call: Call, proceed: Proceed) -> int:
        writing = self.writing
        writing.begin()
        data = call.data = call.data[: writing.left]
        call.size = len(data)
        writing.size += len(data)  # taken before it is written: others write meanwhile
        taken = 0
        try:
            taken = int(await proceed())
        finally:
            writing.size -= len(data)
            writing.passed(data[:taken])
        return taken

    def totals(self) -> dict[str, int | str]:
        """What passed so far, as the exit event tells it."""
        return {
            "reads": self.reading.count,
            "bytes_read": self.reading.size,
            "sha256_read": self.reading.digest.hexdigest(),
            "writes": self.writing.count,
            "bytes_written": self.writing.size,
            "sha256_written": self.writing.digest.hexdigest(),
        }
