"""A file that programs append lines to, and that Python code reads as they come.

- Lines of several writers never mix; those of one open come in order.
- What nobody has read yet takes a bounded number of bytes. Beyond that the next write waits, or the oldest
  lines are dropped and counted, as its maker chose. A write is taken whole.
- It is append-only, as after `chattr +a`: opening it for writing without O_APPEND, or with O_TRUNC, is EPERM.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from typing import Literal

from libos.fs.lines import LINE_MAX, LineHandle
from libos.fs.node import APP, Attributes, Caller, Change, Handle, ReportedError, Wake, refusal
from libos.fs.program import ProgramFile
from libos.fs.readiness import WRITABLE, Changes

# Bytes of lines that may wait to be read, unless its maker says otherwise.
UNREAD_MAX = 1 << 20
# Bytes that a line takes besides its own: what CPython needs for an object and its place.
OVERHEAD = 64


class Log(ProgramFile):
    """`log = Log()` is a node, and `async for line in log` gives its lines as bytes, without newlines.

    Each line goes to one reader; several may read, in the supervisor's trio run. `close` ends them when they
    have read what there is. `limit`: bytes of unread lines; `full` says what happens beyond: "wait" holds the
    next write up, until `deadline` (None: the server's limit), then ETIMEDOUT and an event; "drop" drops the
    oldest lines, and `dropped` counts them. A line of more than `line_limit` bytes is EMSGSIZE and an event.
    What has no newline when its file is closed is a line too.
    """

    def __init__(
        self,
        *,
        limit: int = UNREAD_MAX,
        line_limit: int = LINE_MAX,
        full: Literal["wait", "drop"] = "wait",
        mode: int = 0o222,
        owner: tuple[int, int] = APP,
        deadline: float | None = None,
    ) -> None:
        if full not in ("wait", "drop"):
            raise ValueError(f'full is "wait" or "drop", not {full!r}')
        super().__init__(mode, owner, deadline)
        self.dropped = 0
        self.closed = False
        self.room = Changes()
        self._limit = limit
        self._line_limit = line_limit
        self._drops = full == "drop"
        self._lines: deque[bytes] = deque()
        self._held = 0
        self._arrived = Changes()

    # --- the program's side

    async def setattr(self, change: Change) -> Attributes:
        """Nothing of it can be changed, its size least of all."""
        raise refusal(errno.EPERM)

    async def open(self, flags: int, caller: Caller) -> Handle:
        self.refuse_other_than(os.O_WRONLY, flags)
        if not flags & os.O_APPEND or flags & os.O_TRUNC:
            raise refusal(errno.EPERM)
        return Appending(self, self._line_limit, nonblocking=bool(flags & os.O_NONBLOCK))

    @property
    def has_room(self) -> bool:
        """Whether a line would be taken at once."""
        return self._drops or self._held < self._limit

    def append(self, line: bytes) -> None:
        """Takes a line now, whatever there is; EPIPE after `close`."""
        if self.closed:
            raise refusal(errno.EPIPE)
        self._lines.append(line)
        self._held += len(line) + OVERHEAD
        while self._drops and self._held > self._limit and len(self._lines) > 1:
            self._held -= len(self._lines.popleft()) + OVERHEAD
            self.dropped += 1
        self._arrived.tell()

    # --- the reader's side

    def __aiter__(self) -> Log:
        return self

    async def __anext__(self) -> bytes:
        while not self._lines:
            if self.closed:
                raise StopAsyncIteration
            await self._arrived.wait()
        line = self._lines.popleft()
        self._held -= len(line) + OVERHEAD
        self.room.tell()
        return line

    def close(self) -> None:
        """Takes no more lines: writing is EPIPE from now on. May be called again."""
        self.closed = True
        self._arrived.tell()
        self.room.tell()


class Appending(LineHandle):
    """A log as one program has it open."""

    def __init__(self, log: Log, limit: int, *, nonblocking: bool) -> None:
        super().__init__(limit)
        self._log = log
        self._nonblocking = nonblocking

    async def ready(self) -> None:
        log = self._log
        while not log.has_room and not log.closed:
            if self._nonblocking:
                raise refusal(errno.EAGAIN)
            await log.room.wait()

    async def line(self, line: bytes) -> None:
        self._log.append(line)

    def poll(self, wake: Wake | None) -> int:
        self._log.room.wake(self, wake)
        return WRITABLE if self._log.has_room or self._log.closed else 0

    async def close(self) -> None:
        """What is left is taken whatever there is: nobody waits for a close."""
        self._log.room.leave(self)
        if self.rest and self._log.closed:
            raise ReportedError(errno.EPIPE, f"the log was closed before its last line: {self.rest[:100]!r}")
        if self.rest:
            self._log.append(self.rest)
