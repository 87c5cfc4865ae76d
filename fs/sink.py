"""A file that hands what is written to it to a function: each write, each line, or all at the end."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any, Literal

import trio

from libos.fs.calling import Function
from libos.fs.lines import LINE_MAX, LineHandle
from libos.fs.node import APP, Caller, Handle, Node, ReportedError, Wake
from libos.fs.program import ProgramFile
from libos.fs.readiness import WRITABLE

# Bytes that a file may gather until it is closed, unless its maker says otherwise.
WHOLE_MAX = 1 << 20


def sink(
    receive: Callable[..., Any],
    *,
    by: Literal["write", "line", "close"] = "write",
    limit: int | None = None,
    mode: int = 0o222,
    owner: tuple[int, int] = APP,
    deadline: float | None = None,
) -> Node:
    """A file for writing that calls `receive(data)`, or `receive(data, caller)`, with bytes; its result is
    dropped. `caller` is who opened the file.

    `by` "write": for each write(2), which the kernel cuts at 1 MiB. "line": for each line, without
    its newline, and at the end for what has none; a line has `limit` bytes (64 KiB), EMSGSIZE and an event
    beyond. "close": once for all that one open wrote, when it is closed, also when that is nothing; at most
    `limit` bytes (1 MiB), EFBIG and an event beyond.

    What is handed on at the end comes after close(2) has returned, or after the program's end; all of it has
    come when the supervisor's block is left.

    A write returns when its calls have: the program is as fast as the function. An OSError is the errno of
    the write, anything else EIO and a fault event; an error at the end is an event alone, for close(2) tells
    of none. An async function runs on the trio thread, any other in a worker thread. `deadline`: seconds for
    a write (None: the server's limit), then ETIMEDOUT and an event.

    One open's calls come one after another; those of several opens may overlap, except that the kernel lets
    one write at a time into one file of one world.
    """
    if by not in ("write", "line", "close"):
        raise ValueError(f'by is "write", "line" or "close", not {by!r}')
    return Sink(Function(receive, 1, "a sink's function"), by, limit, mode, owner, deadline)


class Sink(ProgramFile):
    """See `sink`."""

    def __init__(
        self,
        receive: Function,
        by: str,
        limit: int | None,
        mode: int,
        owner: tuple[int, int],
        deadline: float | None,
    ) -> None:
        super().__init__(mode, owner, deadline)
        self._receive = receive
        self._by = by
        self._limit = limit

    async def open(self, flags: int, caller: Caller) -> Handle:
        self.refuse_other_than(os.O_WRONLY, flags)
        if self._by == "line":
            return LineSink(self._receive, caller, LINE_MAX if self._limit is None else self._limit)
        if self._by == "close":
            return WholeSink(self._receive, caller, WHOLE_MAX if self._limit is None else self._limit)
        return WriteSink(self._receive, caller)


class WriteSink(Handle):
    """Hands on each write."""

    seekable = False

    def __init__(self, receive: Function, caller: Caller) -> None:
        self._receive = receive
        self._caller = caller
        self._turn = trio.Lock()

    def poll(self, wake: Wake | None) -> int:
        return WRITABLE

    async def write(self, offset: int, data: bytes) -> int:
        async with self._turn:
            await self._receive(data, caller=self._caller)
        return len(data)


class LineSink(LineHandle):
    """Hands on each line."""

    def __init__(self, receive: Function, caller: Caller, limit: int) -> None:
        super().__init__(limit)
        self._receive = receive
        self._caller = caller

    def poll(self, wake: Wake | None) -> int:
        return WRITABLE

    async def line(self, line: bytes) -> None:
        await self._receive(line, caller=self._caller)

    async def close(self) -> None:
        if self.rest:
            await at_the_end(self._receive, self.rest, self._caller)


class WholeSink(Handle):
    """Gathers what is written, and hands it on at the end."""

    seekable = False

    def __init__(self, receive: Function, caller: Caller, limit: int) -> None:
        self._receive = receive
        self._caller = caller
        self._limit = limit
        self._gathered = bytearray()

    def poll(self, wake: Wake | None) -> int:
        return WRITABLE

    async def write(self, offset: int, data: bytes) -> int:
        if len(self._gathered) + len(data) > self._limit:
            raise ReportedError(errno.EFBIG, f"more than {self._limit} bytes were written")
        self._gathered += data
        return len(data)

    async def close(self) -> None:
        await at_the_end(self._receive, bytes(self._gathered), self._caller)


async def at_the_end(receive: Function, data: bytes, caller: Caller) -> None:
    """Hands on what a file held when it was closed. Nobody gets an errno any more, so all is reported."""
    try:
        await receive(data, caller=caller)
    except ReportedError:
        raise
    except OSError as error:
        raise ReportedError(error.errno, f"what was written is lost: {error}") from error
