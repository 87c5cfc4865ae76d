"""The root of a server's tree that lives longer than one connection to it.

- It is dialed once before it is there at all, so that a mount without a server is an error at once.
- Where the connection has ended, the next use of the root dials again, not within REDIAL seconds of a dial
  that failed: a new server serves under the old mount. What was found or opened by the old connection stays
  EIO for ever, as after a server's loss anywhere in 9P: names are looked up anew, open files are not.
- A dial that fails is EIO, and an event the first time.
"""

from __future__ import annotations

import errno
import select
from collections.abc import Awaitable, Callable

import trio

from libos.fs.node import ReportedError, refusal
from libos.fs.p9.client import DEADLINE, Client
from libos.fs.p9.remote import RemoteDirectory, attached

# Seconds after a dial that failed.
REDIAL = 0.2

Dial = Callable[[], Awaitable[trio.SocketStream]]


class Root(RemoteDirectory):
    """What a server serves now."""

    def __init__(self, dial: Dial, *, writable: bool, deadline: float = DEADLINE) -> None:
        self._dial = dial
        self._writable = writable
        self._deadline = deadline
        self._stream: trio.SocketStream | None = None
        self._turn = trio.Lock()
        self._lost = -REDIAL
        self._failed = False
        self._closed = False

    async def connect(self) -> None:
        """Dials, and attaches to the server's root. OSError; what was connected before is closed."""
        self._hang_up()
        with trio.CancelScope(deadline=trio.current_time() + self._deadline) as scope:
            self._stream = await self._dial()
        if scope.cancelled_caught or self._stream is None:
            raise refusal(errno.ETIMEDOUT)
        try:
            root = await attached(self._stream, writable=self._writable, deadline=self._deadline)
        except BaseException:
            self._hang_up()
            raise
        self.tree, self.fid = root.tree, root.fid

    async def live(self) -> Client:
        if self._is_up():
            return self.tree.client
        async with self._turn:
            if not self._is_up():
                await self._redial()
        return self.tree.client

    def close(self) -> None:
        """For good: everything is EIO from now on. Never waits."""
        self._closed = True
        self.tree.client.close()
        self._hang_up()

    def _is_up(self) -> bool:
        stream = self._stream
        return stream is not None and not self.tree.client.ended and not _hung_up(stream)

    async def _redial(self) -> None:
        if self._closed or trio.current_time() < self._lost + REDIAL:
            raise refusal(errno.EIO)
        self.tree.client.close()
        try:
            await self.connect()
        except OSError as error:
            first, self._failed = not self._failed, True
            self._lost = trio.current_time()
            raise (
                ReportedError(errno.EIO, f"9P: the server is gone: {error.strerror or error}")
                if first
                else refusal(errno.EIO)
            ) from None
        self._failed = False
        if self._closed:  # meanwhile
            self.close()
            raise refusal(errno.EIO)

    def _hang_up(self) -> None:
        if self._stream is not None:
            self._stream.socket.close()
            self._stream = None


async def mounted(dial: Dial, *, writable: bool = False, deadline: float = DEADLINE) -> Root:
    """The root of what the server serves to which `dial` leads. Whoever has it closes it. OSError where
    there is no server, or one that speaks something else; `deadline` is for how long it may be silent, in
    seconds."""
    root = Root(dial, writable=writable, deadline=deadline)
    await root.connect()
    return root


def _hung_up(stream: trio.SocketStream) -> bool:
    """Whether the other end is closed, as far as is known now; poll(2)."""
    poll = select.poll()
    poll.register(stream.socket.fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))
