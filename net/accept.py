"""Accepts connections on a listener, a task each, within limits.

Rules:
- A world holds at most `limit` connections at once: what comes beyond waits in the kernel's backlog. So a
  world cannot use up the supervisor's descriptors, of which each connection takes two.
- accept(2) that fails for want of descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM) leaves the
  connection in the backlog and the listener readable: it is told once, and tried again after a pause,
  never in a loop.
- Both states are told by one event when they begin.
"""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import Awaitable, Callable

import trio

from libos.net.sockets import Observe, describe

# Connections accepted before other tasks run.
_TURN = 16
# Seconds between two attempts while descriptors are short.
_PAUSE = 0.1
_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# At most so many connections in a world, whatever the descriptor limit is.
_MOST = 4096


def connection_limit() -> int:
    """Connections that one world may hold: its descriptors are then a quarter of the process's at most."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY:
        return _MOST
    return max(16, min(_MOST, soft // 8))


class Acceptor:
    """Accepts for one world; several listeners share its limit."""

    def __init__(self, observe: Observe, limit: int | None = None) -> None:
        self._observe = observe
        self._limit = connection_limit() if limit is None else limit
        self._free = trio.Semaphore(self._limit)

    async def accept(
        self,
        listener: socket.socket,
        serve: Callable[[socket.socket], Awaitable[None]],
        label: str,
        nursery: trio.Nursery,
    ) -> None:
        """Accept until cancelled; each connection is served, and then closed, in a task of `nursery`.

        `label` names the listener in events. Raises OSError (EBADF, EINVAL) where this is no listener.
        """
        accepted = 0
        short = False
        while True:
            await self._take_place(label)
            try:
                connection, _peer = listener.accept()
            except BlockingIOError:
                self._free.release()
                await trio.lowlevel.wait_readable(listener)
                continue
            except OSError as error:
                self._free.release()
                short = await self._failed(error, label, told=short)
                continue
            short = False
            nursery.start_soon(self._serve, connection, serve)
            accepted += 1
            if accepted % _TURN == 0:
                await trio.lowlevel.checkpoint()

    async def _take_place(self, label: str) -> None:
        # Sync where a place is free: accepting is fast, and the loop above gives way by itself.
        try:
            self._free.acquire_nowait()
        except trio.WouldBlock:
            text = f"{self._limit} connections are open: further ones wait"
            self._observe("error", {"operation": "accept", "address": label, "error": text})
            await self._free.acquire()

    async def _failed(self, error: OSError, label: str, told: bool) -> bool:
        """Give whether descriptors are short now. A connection that died in the backlog is no failure."""
        if error.errno not in _SHORT:
            await trio.lowlevel.checkpoint()  # a listener that was closed was cancelled too
            if error.errno in (errno.EBADF, errno.EINVAL):
                raise error
            return told
        if not told:
            self._observe("error", {"operation": "accept", "address": label, "error": describe(error)})
        await trio.sleep(_PAUSE)
        return True

    async def _serve(
        self, connection: socket.socket, serve: Callable[[socket.socket], Awaitable[None]]
    ) -> None:
        try:
            await serve(connection)
        finally:
            connection.close()
            self._free.release()
