"""A file that an async generator fills while it is read.

- Each open has a generator of its own, which runs in a task of its own: a read that is interrupted does not
  cancel it, and reads from several threads do not run it twice.
- It begins at the open and runs ahead of its reader by at most `ahead` bytes and one item; then it stands at
  its `yield` until somebody reads: that is the back-pressure.
- A read gives what is there, waits while nothing is, and is the end of the file after the generator's end.
- What came before an error is read first. An error that nobody has read when the file is closed is reported.
- There are no offsets: lseek(2) and pread(2) are ESPIPE, as in a pipe.
"""

from __future__ import annotations

import errno
import math
import os
import select
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any

import trio

from libos.fs.buffered import Buffered
from libos.fs.calling import Content, Function, as_bytes
from libos.fs.node import APP, Caller, Handle, Node, ReportedError, Wake, refusal
from libos.fs.program import ProgramFile
from libos.fs.readiness import READABLE, Changes

# Bytes that a generator may be ahead of its reader: a pipe's capacity, pipe(7).
AHEAD = 65_536
# Seconds that a generator gets to clean up after the file is closed.
CLOSING = 2.0


def stream(
    generate: Callable[..., AsyncIterable[Content]],
    *,
    mode: int = 0o444,
    owner: tuple[int, int] = APP,
    ahead: int = AHEAD,
    deadline: float = math.inf,
) -> Node:
    """A read-only file that gives what the async generator `generate()` yields, str or bytes, as it comes.

    Each open calls it anew, as `generate(caller)` where it takes an argument; it runs on the trio thread. It
    may also be a function that returns any async iterable. `ahead`: bytes that may wait for the reader.
    `deadline`: seconds that a read may wait, then ETIMEDOUT and a fault event. With O_NONBLOCK at open(2) a
    read of nothing is EAGAIN; poll(2) and its like work.

    An OSError that it raises is the errno of the read after its last item, anything else EIO and a fault
    event; so is an item of another type. When the file is closed the generator is cancelled where it awaits
    and closed where it yields, and has two seconds to clean up.
    """
    return Stream(Function(generate, 0, "a stream's function"), mode, owner, ahead, deadline)


class Stream(ProgramFile):
    """See `stream`."""

    def __init__(
        self, generate: Function, mode: int, owner: tuple[int, int], ahead: int, deadline: float
    ) -> None:
        super().__init__(mode, owner, deadline)
        self._generate = generate
        self._ahead = ahead

    async def open(self, flags: int, caller: Caller) -> Handle:
        self.refuse_other_than(os.O_RDONLY, flags)
        generate = self._generate
        items = generate.start(caller) if generate.generates else await generate(caller=caller)
        if not isinstance(items, AsyncIterable):
            raise generate.wrong(items, "an async iterable")
        return Flow(aiter(items), self._ahead, bool(flags & os.O_NONBLOCK))


class Flow(Handle):
    """One open stream and the task that runs its generator."""

    seekable = False

    def __init__(self, items: AsyncIterator[object], ahead: int, nonblocking: bool) -> None:
        self._items = items
        self._ahead = ahead
        self._nonblocking = nonblocking
        self._buffer = Buffered()
        self._error: BaseException | None = None
        self._told = False
        self._ended = False
        self._arrived = Changes()
        self._room = Changes()
        self._gone = trio.Event()
        self._scope = trio.CancelScope()
        # No nursery outlives the request that opens; a system task ends with the run at the latest.
        trio.lowlevel.spawn_system_task(self._run, name=f"stream {items!r}")

    async def _run(self) -> None:
        """Never raises, but what ends the whole run: an error in a system task would crash it."""
        try:
            with self._scope:
                await self._fill()
        except trio.Cancelled:
            raise
        except BaseException as error:  # noqa: ASYNC103 - Cancelled was raised again above
            self._error = error if isinstance(error, Exception) else RuntimeError(repr(error))
        finally:
            self._ended = True
            self._arrived.tell()
            self._gone.set()

    async def _fill(self) -> None:
        try:
            async for item in self._items:
                if self._buffer.put(as_bytes(item, "a stream yields")):
                    self._arrived.tell()
                else:
                    await trio.lowlevel.checkpoint()  # or a generator of nothing would hold the thread
                while self._buffer.held > self._ahead:
                    await self._room.wait()
        finally:
            close: Any = getattr(self._items, "aclose", None)
            if close is not None:
                with trio.move_on_after(CLOSING, shield=True):
                    await close()

    async def read(self, offset: int, size: int) -> bytes:
        while not self._buffer.held:
            if self._ended:
                return self._end()
            if self._nonblocking:
                raise refusal(errno.EAGAIN)
            await self._arrived.wait()
        data = self._buffer.take(size)
        self._room.tell()
        return data

    def _end(self) -> bytes:
        """The end of the file, or the error that ended it: reported once, its errno each time."""
        if self._error is None:
            return b""
        if not self._told:
            self._told = True
            raise self._error
        raise refusal(getattr(self._error, "errno", None) or errno.EIO)

    def poll(self, wake: Wake | None) -> int:
        if self._ended:
            return READABLE | (0 if self._buffer.held or self._error else select.POLLHUP)
        self._arrived.wake(self, wake)
        return READABLE if self._buffer.held else 0

    async def close(self) -> None:
        self._scope.cancel()
        self._room.tell()
        with trio.move_on_after(CLOSING + 1):
            await self._gone.wait()
        if not self._gone.is_set():
            raise ReportedError(errno.ETIMEDOUT, "a stream's generator goes on after it was closed")
        if self._error is not None and not self._told:
            raise self._error
