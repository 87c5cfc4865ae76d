"""A control file: a command is written, and its reply is read from the same descriptor; intro(3) of Plan 9.

- A command is a line. It is carried out before the write that completes it returns; where it fails, so does
  that write.
- Replies of one open are read in the order of its commands, as one stream of bytes. Where there is none, a
  read is at the end of the file: before the first command, and after the last reply.
- Half a command stays until its end is written. Until then a read is EINVAL; closed, it is not carried out,
  and an event tells of it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable

from libos.fs.buffered import Buffered
from libos.fs.calling import Content, Function, as_bytes
from libos.fs.lines import LINE_MAX, LineHandle
from libos.fs.node import APP, Caller, Handle, Node, ReportedError, Wake, refusal
from libos.fs.program import ProgramFile
from libos.fs.readiness import READABLE, WRITABLE, Changes

# Bytes of replies that may wait to be read when a further command comes.
REPLIES_MAX = 1 << 20

Reply = Content | None


def control(
    answer: Callable[..., Reply | Awaitable[Reply]],
    *,
    limit: int = LINE_MAX,
    mode: int = 0o666,
    owner: tuple[int, int] = APP,
    deadline: float | None = None,
) -> Node:
    """A file that calls `answer(command)`, or `answer(command, caller)`, for each line written, and gives its
    replies to who reads.

    `command` is text without its newline (bytes that are no UTF-8 as os.fsdecode gives them); empty lines are
    passed over. The reply is str, bytes or None for none. An OSError is the errno of the write, anything
    else, or a reply of another type, EIO and a fault event; the commands before it in the same write count,
    those after it are not carried out. A command of more than `limit` bytes is EMSGSIZE and an event; one
    that comes while 1 MiB of replies is unread is ENOBUFS and an event. Functions run, and `deadline` counts,
    as for a sink.
    """
    return Control(Function(answer, 1, "a control file's function"), limit, mode, owner, deadline)


class Control(ProgramFile):
    """See `control`."""

    def __init__(
        self, answer: Function, limit: int, mode: int, owner: tuple[int, int], deadline: float | None
    ) -> None:
        super().__init__(mode, owner, deadline)
        self._answer = answer
        self._limit = limit

    async def open(self, flags: int, caller: Caller) -> Handle:
        return Conversation(self._answer, caller, self._limit)


class Conversation(LineHandle):
    """One open control file."""

    def __init__(self, answer: Function, caller: Caller, limit: int) -> None:
        super().__init__(limit)
        self._answer = answer
        self._caller = caller
        self._replies = Buffered()
        self._arrived = Changes()

    async def line(self, line: bytes) -> None:
        if not line:
            return
        if self._replies.held >= REPLIES_MAX:
            raise ReportedError(errno.ENOBUFS, f"{self._replies.held} bytes of replies are unread")
        reply = await self._answer(os.fsdecode(line), caller=self._caller)
        if reply is not None:
            self._replies.put(as_bytes(reply, "a control file's function returns None,"))
            self._arrived.tell()

    async def read(self, offset: int, size: int) -> bytes:
        async with self.turn:
            if not self._replies.held and self.rest:
                raise refusal(errno.EINVAL)
            return self._replies.take(size)

    def poll(self, wake: Wake | None) -> int:
        self._arrived.wake(self, wake)
        return WRITABLE | (READABLE if self._replies.held else 0)

    async def close(self) -> None:
        self._arrived.leave(self)
        if self.rest:
            raise ReportedError(errno.EINVAL, f"closed with half a command: {self.rest[:100]!r}")
