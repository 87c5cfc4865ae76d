"""The publications of one world as they run: made, counted, revoked.

Rules:
- All of the start are bound before anything runs inside; where one cannot be, none of them is.
- A connection belongs to its publication, and is reset when that is taken back.
- The app's own answer decides each connection: where it does not listen, the outside is reset, since refusing
  is no longer possible.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Callable, Iterator, Sequence

import trio

from libos.net.accept import Acceptor
from libos.net.carrier import Carrier
from libos.net.inbound.app_port import AppPort
from libos.net.inbound.datagrams import Datagrams
from libos.net.inbound.flows import Flows
from libos.net.inbound.proxy_protocol import header_of
from libos.net.inbound.publication import Publication
from libos.net.inbound.published import Published, Sweeper
from libos.net.sockets import Observe, OpenSockets
from libos.net.watcher import Watcher


class Inbound:
    """What one publication is while its world runs. Made by `Publications`."""

    def __init__(self, number: int, published: Published, forget: Callable[[Inbound], None]) -> None:
        self.number = number
        self.publication = published.publication
        self.closed = False
        self.opened = 0
        self._published = published
        self._forget = forget
        self._scope = trio.CancelScope()

    @property
    def address(self) -> str:
        """Where it is reached outside, as a dial string, with the port that was chosen."""
        return self.publication.address

    def close(self) -> None:
        """Take it back: refuse from now on, reset what is open. May be called again."""
        if not self.closed:
            self.closed = True
            self._forget(self)
            # Cancelling first takes the socket out of trio's hands at once; only then may it be closed.
            self._scope.cancel()
            self._published.close()

    @contextlib.contextmanager
    def serving(self) -> Iterator[socket.socket]:
        """Give the outside socket; the block ends when the publication is taken back."""
        try:
            with self._scope:
                yield self._published.socket
        finally:
            self._published.close()


class Publications:
    """The publications of one world; `live` has those that run, in the order in which they were made."""

    def __init__(
        self,
        open_sockets: OpenSockets,
        acceptor: Acceptor,
        carrier: Carrier,
        observe: Observe,
        sweeper: Sweeper | None = None,
    ) -> None:
        self.live: list[Inbound] = []
        self._open_sockets = open_sockets
        self._acceptor = acceptor
        self._carrier = carrier
        self._observe = observe
        self._sweeper = sweeper
        self._numbers = itertools.count(1)

    def bind(self, wanted: Sequence[Publication]) -> list[Inbound]:
        """Take the outside addresses of all. Raises HostError where one cannot be had; none is, then."""
        with contextlib.ExitStack() as stack:
            published = [
                stack.enter_context(contextlib.closing(Published(each, self._sweeper))) for each in wanted
            ]
            stack.pop_all()
        made = [Inbound(next(self._numbers), each, self.live.remove) for each in published]
        self.live += made
        return made

    def close_all(self) -> None:
        """Close all."""
        for each in list(self.live):
            each.close()

    async def serve(self, inbound: Inbound, watching: Watcher) -> None:
        """Carry what comes until the publication is taken back or this is cancelled."""
        if inbound.closed:
            return
        publication = inbound.publication
        app = AppPort(publication.port, self._open_sockets, watching)
        fields: dict[str, object] = {"address": publication.address, "port": publication.port}
        with contextlib.closing(app), inbound.serving() as outside:
            if publication.network == "udp":
                outer = Datagrams(outside)
                await Flows(outer, app, watching, self._observe, self._carrier, fields).run()
                return
            async with trio.open_nursery() as nursery:
                await self._accept(inbound, outside, app, fields, nursery)

    async def _accept(
        self,
        inbound: Inbound,
        outside: socket.socket,
        app: AppPort,
        fields: dict[str, object],
        nursery: trio.Nursery,
    ) -> None:
        async def carry(outer: socket.socket) -> None:
            async def connect() -> socket.socket:
                return await _connect(app, outer, told=inbound.publication.proxy_protocol)

            inbound.opened += 1
            await self._carrier.listen(fields | {"peer": peer_of(outer)}, outer, connect)

        await self._acceptor.accept(outside, carry, inbound.address, nursery)


async def _connect(app: AppPort, outer: socket.socket, *, told: bool) -> socket.socket:
    """A connection to the app, which is told who connects where it wants that. Raises OSError."""
    if not told:
        return await app.connect()
    header = header_of(outer)
    inside = await app.connect()
    try:
        inside.send(header)  # the first bytes of a new connection: its buffer takes them
    except BaseException:
        inside.close()
        raise
    return inside


def peer_of(connection: socket.socket) -> str:
    """The address of a connection's other end; empty where it has none, or has gone already."""
    try:
        name = connection.getpeername()
    except OSError:
        return ""
    return str(name[0]) if isinstance(name, tuple) else name if isinstance(name, str) else repr(name)
