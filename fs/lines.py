"""An open file whose writes are cut into lines, each dealt with before its write returns.

- Writes of one open file come one after another. A line may come in several writes, and a write may hold
  several lines.
- Where a line fails after others of the same write were taken, the write is short, as write(2) may be: the
  program writes the rest again and gets the error then, without a second attempt.
- A write that is cancelled in the middle (EINTR) may have been taken in part.
- A line that fails at the head of a write is dropped, with the part that came before.
- After a line over the limit nobody can tell where the next one begins: every further write is EMSGSIZE.
"""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod

import trio

from libos.fs.node import Handle, ReportedError, refusal

# Bytes of a line at most unless the node says otherwise: what a pipe holds, and much for a line.
LINE_MAX = 65_536


class LineHandle(Handle, ABC):
    """What an open file with lines has in common. `turn` is held while a write is dealt with."""

    seekable = False

    def __init__(self, limit: int) -> None:
        self.turn = trio.Lock()
        self.rest = b""
        self._limit = limit
        self._failed: tuple[bytes, Exception] | None = None
        self._lost = False

    async def ready(self) -> None:
        """Called before anything of a write is taken: here it may wait or be refused as a whole."""

    @abstractmethod
    async def line(self, line: bytes) -> None:
        """Deals with a whole line, given without its newline."""

    async def write(self, offset: int, data: bytes) -> int:
        async with self.turn:
            await self.ready()
            failed, self._failed = self._failed, None
            taken = 0
            while taken < len(data):
                end = data.find(b"\n", taken)
                piece = data[taken:] if end < 0 else data[taken:end]
                try:
                    await self._piece(piece, end >= 0, failed)
                except Exception as error:
                    self.rest = b""
                    if not taken:
                        raise
                    self._failed = piece, error
                    return taken
                failed = None
                taken += len(piece) + (end >= 0)
            return taken

    async def _piece(self, piece: bytes, whole: bool, failed: tuple[bytes, Exception] | None) -> None:
        """Deals with what one write has of a line."""
        if failed is not None and failed[0] == piece:
            raise failed[1]
        if self._lost:
            raise refusal(errno.EMSGSIZE)
        line = self.rest + piece
        if len(line) > self._limit:
            self._lost = True
            raise ReportedError(errno.EMSGSIZE, f"a line of more than {self._limit} bytes")
        if whole:
            await self.line(line)
            self.rest = b""
        else:
            self.rest = line
