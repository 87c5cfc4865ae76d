"""Bytes on their way to who reads them, in order."""

from __future__ import annotations

from collections import deque


class Buffered:
    """A queue of bytes; `held` counts them."""

    def __init__(self) -> None:
        self.held = 0
        self._chunks: deque[bytes] = deque()

    def put(self, chunk: bytes) -> bool:
        """Adds bytes at the end; False where there are none."""
        if chunk:
            self._chunks.append(chunk)
            self.held += len(chunk)
        return bool(chunk)

    def take(self, size: int) -> bytes:
        """Up to `size` bytes of what is there."""
        taken = []
        while self._chunks and size:
            chunk = self._chunks.popleft()
            if len(chunk) > size:
                self._chunks.appendleft(chunk[size:])
                chunk = chunk[:size]
            taken.append(chunk)
            size -= len(chunk)
        data = b"".join(taken)
        self.held -= len(data)
        return data
