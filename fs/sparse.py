"""The bytes of one file in memory, with holes that cost nothing.

Content is kept in chunks of CHUNK bytes by their index. A chunk may be shorter than CHUNK: what is missing
at its end, and every chunk that is not there, reads as zeros. Invariant: no chunk holds bytes at or beyond
`size`.
"""

from __future__ import annotations

from collections.abc import Callable

# Bytes of a chunk: small enough that a sparse file stays sparse, large enough that a read of 1 MiB joins
# few of them.
CHUNK = 128 * 1024


class SparseBytes:
    """`charge(n)` is called before n bytes more are held (negative: after they are let go); it may raise."""

    __slots__ = ("_charge", "_chunks", "held", "size")

    def __init__(self, charge: Callable[[int], None]) -> None:
        self._charge = charge
        self._chunks: dict[int, bytearray] = {}
        self.size = 0
        self.held = 0

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes, fewer at the end of the file."""
        end = min(offset + size, self.size)
        parts: list[bytes | bytearray | memoryview] = []
        while offset < end:
            index, start = divmod(offset, CHUNK)
            length = min(CHUNK - start, end - offset)
            chunk = self._chunks.get(index, b"")
            piece = memoryview(chunk)[start : start + length]
            parts.append(piece)
            if len(piece) < length:
                parts.append(bytes(length - len(piece)))
            offset += length
        return b"".join(parts)

    def write(self, offset: int, data: bytes) -> None:
        """Puts all of `data` at `offset`, growing the file if need be; nothing is changed when `charge`
        raises."""
        end = offset + len(data)
        self._pay(offset, end)
        rest = memoryview(data)
        while rest:
            index, start = divmod(offset, CHUNK)
            piece = rest[: CHUNK - start]
            chunk = self._chunks.setdefault(index, bytearray())
            if len(chunk) < start:
                chunk.extend(bytes(start - len(chunk)))
            chunk[start : start + len(piece)] = piece
            offset += len(piece)
            rest = rest[len(piece) :]
        self.size = max(self.size, end) if data else self.size

    def _pay(self, offset: int, end: int) -> None:
        """Charges for what a write from `offset` to `end` will hold beyond what is held now."""
        more = 0
        for index in range(offset // CHUNK, -(-end // CHUNK)):
            needed = min(end - index * CHUNK, CHUNK)
            more += max(0, needed - len(self._chunks.get(index, b"")))
        if more:
            self._charge(more)
            self.held += more

    def truncate(self, size: int) -> None:
        """Cuts the file, or lets it grow by a hole."""
        if size < self.size:
            last, keep = divmod(size, CHUNK)
            for index in [index for index in self._chunks if index >= last]:
                self._cut(index, keep if index == last else 0)
        self.size = size

    def _cut(self, index: int, keep: int) -> None:
        """Keeps the first bytes of a chunk."""
        chunk = self._chunks[index]
        freed = max(0, len(chunk) - keep)
        if keep:
            del chunk[keep:]
        else:
            del self._chunks[index]
        self.held -= freed
        self._charge(-freed)
