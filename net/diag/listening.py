"""Where the app of a world listens, and waiting until it does.

Rules:
- The truth is the kernel's: each look asks sock_diag(7) in the world's network namespace. What says that it
  is time to look (`hint`) is only that, and decides nothing: a hint too many costs a look.
- The app listens where it can be reached as its callers reach it: at 127.0.0.1, at ::1, or at all addresses
  of a family. The gate's own listeners for what the app may dial are not the app's.
- One netlink socket a world, opened inside at the first look; a look does not wait: the kernel answers within
  the call.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Set

import trio

from libos.net.diag import codec
from libos.net.sockets import OpenSockets

_PLACES = frozenset({"127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:0.0.0.0"})  # noqa: S104 - read
# Bytes of one packet of a dump: what the kernel fills at most (netlink_dump).
_PACKET = 32_768


class Listening:
    """The listening TCP sockets of one world. `own` gives the inodes of the gate's."""

    def __init__(self, open_sockets: OpenSockets, own: Callable[[], set[int]]) -> None:
        self._open_sockets = open_sockets
        self._own = own
        self._netlink: socket.socket | None = None
        self._opening = trio.Lock()
        self._changed = trio.Event()

    def hint(self) -> None:
        """Something may listen that did not before: those who wait look again."""
        self._changed.set()
        self._changed = trio.Event()

    async def ports(self) -> set[int]:
        """The TCP ports at which the app listens now. Raises OSError: ENOENT where the kernel has no
        inet_diag, EPIPE where the world has ended."""
        async with self._opening:
            if self._netlink is None:
                (self._netlink,) = await self._open_sockets([codec.SPEC])
                self._netlink.setblocking(False)
        own = self._own()
        return {
            each.port
            for family in (socket.AF_INET, socket.AF_INET6)
            for each in _dump(self._netlink, codec.request(family, socket.IPPROTO_TCP, 1 << codec.LISTEN))
            if each.address in _PLACES and each.inode not in own
        }

    async def wait(self, port: int) -> None:
        """Wait until the app listens at a port. Raises OSError as `ports` does."""
        await self._seen(lambda ports: ports & {port})

    async def beyond(self, known: Set[int]) -> set[int]:
        """Wait until the app listens at other ports than these; gives those. Raises OSError as `ports` does.
        What listens only until somebody looks is not found."""
        return await self._seen(lambda ports: ports - known)

    async def _seen(self, wanted: Callable[[set[int]], set[int]]) -> set[int]:
        while True:
            changed = self._changed  # before the look: what comes during it is not missed
            if found := wanted(await self.ports()):
                return found
            await changed.wait()

    def close(self) -> None:
        """Close the netlink socket. May be called again."""
        if self._netlink is not None:
            self._netlink.close()


def _dump(netlink: socket.socket, request: bytes) -> Iterator[codec.Found]:
    """Sync on purpose: no other dump comes between the request and its last answer."""
    with contextlib.suppress(BlockingIOError):
        while netlink.recv(_PACKET):  # of a dump that was given up
            pass
    netlink.send(request)
    while True:
        answer = codec.decode(netlink.recv(_PACKET))
        yield from answer.sockets
        if answer.done:
            return
