"""Counting what an app writes to standard output and error: pipes between it and whoever reads it.

Only where `limits.output` asks for it; else the app has the caller's own descriptors, and nothing of this
runs. What is within the limit is passed on in order, the rest is not, and the app is ended. Writing to the
reader is a thread's work, since it may be a file or a full pipe; never more than one block is held of each.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import trio

from libos.keeper.identity import Identity, serves_root
from libos.worlds.streams import Streams

# Bytes held of each stream: a pipe's own capacity, pipe(7).
_BLOCK = 65_536
# Seconds for a reader to take what was written before the app's end; who has a pipe reads it.
_FLUSH = 10.0


class Output:
    """The streams of one app and the bytes that they may still carry. `over` is called once, beyond them."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._carried: list[tuple[int, int]] = []
        self._done = trio.Event()
        self.over: Callable[[], None] = lambda: None

    @contextmanager
    def between(self, streams: Streams, identity: Identity) -> Iterator[None]:
        """Put pipes in place of the program's output descriptors, and close the program's ends with the
        block."""
        with ExitStack() as theirs:
            numbers = [n for n in range(3) if n not in streams.on_terminal]
            made: dict[tuple[int, int], int] = {}
            for index, number in enumerate(numbers):
                if number == 0:
                    continue
                found = os.fstat(streams.fds[index])
                same = (found.st_dev, found.st_ino)
                if same not in made:  # two names of one file stay in order
                    made[same] = self._pipe(streams.fds[index], identity, theirs)
                streams.fds[index] = made[same]
            yield

    def _pipe(self, target_fd: int, identity: Identity, theirs: ExitStack) -> int:
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
        theirs.callback(os.close, write_fd)
        self._carried.append((read_fd, os.dup(target_fd)))
        if serves_root():
            os.fchown(write_fd, *identity.owner)
        return write_fd

    async def carry(self) -> None:
        """Pass on what the app writes, until its last process has closed its end."""
        async with trio.open_nursery() as nursery:
            for read_fd, target_fd in self._carried:
                nursery.start_soon(self._carry, read_fd, target_fd)
        self._done.set()

    async def finish(self) -> None:
        """Wait, for a while, until all is passed on. The world has gone."""
        with trio.move_on_after(_FLUSH):
            await self._done.wait()

    async def _carry(self, read_fd: int, target_fd: int) -> None:
        try:
            async with trio.lowlevel.FdStream(read_fd) as stream:
                while data := await stream.receive_some(_BLOCK):
                    within = data[: self._left]
                    self._left -= len(within)
                    await trio.to_thread.run_sync(_write, target_fd, within, abandon_on_cancel=True)
                    if len(within) < len(data):
                        self.over()
        except OSError:
            pass  # nobody reads any more: the app's next write is EPIPE, as without us
        finally:
            os.close(target_fd)


def _write(fd: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.poll()
