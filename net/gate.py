"""The gate of one world: carries connections between the world and the outside, for what was granted and
no more.

Rules:
- A grant is a listening socket inside, at exactly the granted address and port; the kernel refuses all else.
- Outside failure is told to the app by a reset, since its connection inside was already made when the outside
  was tried, and to the caller by an event.
- `run` owns every socket of the world's network in this process and has closed them when it returns, but for
  the watcher's, which a thread closes a moment later.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import socket
from collections.abc import Iterator, Sequence

import trio

from libos.net import dns, outside, watcher
from libos.net.accept import Acceptor
from libos.net.address import Address
from libos.net.carrier import Carrier
from libos.net.names import Names, is_localhost
from libos.net.publish import AppPort, Publication, Published, peer_of
from libos.net.sockets import Observe, OpenSockets, Spec, family_of, ipv6_works, listen_at

# Seconds for the last bytes of a world that has ended.
FINISH_SECONDS = 5.0
# Turns of trio's scheduler until what waits in a listener's backlog is accepted and counted: one to see that
# the listener is readable, one to accept, one to start the connection's task.
_TICKS = 4


class Dialed:
    """The grant of one address: its listeners inside. Made by a gate."""

    def __init__(self, address: Address, listeners: list[socket.socket]) -> None:
        self.address = address
        self._listeners = listeners
        self._scope = trio.CancelScope()

    @property
    def closed(self) -> bool:
        """Whether the grant was taken back."""
        return self._scope.cancel_called

    def close(self) -> None:
        """Take the grant back: refuse from now on, reset the connections that use it. May be called again."""
        # Cancelling first takes the listeners out of trio's hands at once; only then may they be closed.
        self._scope.cancel()
        for listener in self._listeners:
            listener.close()

    async def serve(self, acceptor: Acceptor, carrier: Carrier) -> None:
        """Accept until closed or cancelled. Called once, by the gate."""

        async def carry(inside: socket.socket) -> None:
            await carrier.dial({"address": str(self.address)}, inside, lambda: outside.connect(self.address))

        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    for listener in self._listeners:
                        nursery.start_soon(acceptor.accept, listener, carry, str(self.address), nursery)
        finally:
            self.close()


class Gate:
    """The gate of `world`. `observe` gets its events: see docs/reference/network.md.

    `connection_limit` is how many connections the world may hold at once; by default an eighth of this
    process's descriptors.
    """

    def __init__(
        self,
        world: str,
        open_sockets: OpenSockets,
        names: Names,
        observe: Observe,
        *,
        connection_limit: int | None = None,
    ) -> None:
        self.world = world
        self.names = names
        self._open_sockets = open_sockets
        self._observe = observe
        self._acceptor = Acceptor(observe, connection_limit)
        self._carrier = Carrier(observe)
        self._granted: dict[Address, Dialed] = {}
        self._nursery: trio.Nursery | None = None
        self._watcher: watcher.Watcher | None = None

    async def run(
        self,
        dials: Sequence[Address] = (),
        publications: Sequence[Publication] = (),
        *,
        task_status: trio.TaskStatus[list[Publication]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled. Called once.

        started() comes when all of `dials` can be dialed, names are answered, refusals are seen and all of
        `publications` listen; its value is these, with the ports that were chosen. All sockets are asked for
        in one request. Raises HostError where a publication's address cannot be had, OSError where a listener
        cannot be made inside.
        """
        with contextlib.ExitStack() as stack:
            published = [stack.enter_context(contextlib.closing(Published(each))) for each in publications]
            dials = list(dict.fromkeys(dials))
            wanted = [spec for address in dials for spec, _ in self._places(address)]
            sockets = iter(await self._open_sockets([*watcher.SPECS, *dns.SPECS, *wanted]))
            watched = list(itertools.islice(sockets, len(watcher.SPECS)))
            rest = [stack.enter_context(each) for each in sockets]
            with contextlib.closing(watcher.Watcher(watched, self.names, self._observe)) as watching:
                responder = dns.Responder(rest[: len(dns.SPECS)], self.names, self._observe)
                remaining = iter(rest[len(dns.SPECS) :])
                grants = [self._grant(address, remaining) for address in dials]
                try:
                    async with trio.open_nursery() as nursery:
                        self._nursery, self._watcher = nursery, watching
                        nursery.start_soon(watching.run)
                        nursery.start_soon(responder.serve_datagrams)
                        nursery.start_soon(responder.serve_streams, nursery)
                        for grant in grants:
                            nursery.start_soon(grant.serve, self._acceptor, self._carrier)
                        for each in published:
                            nursery.start_soon(self._publish, each, watching, nursery, stack)
                        task_status.started([each.publication for each in published])
                finally:
                    self._nursery = self._watcher = None

    async def dial(self, address: Address) -> Dialed:
        """Grant `address` while the gate runs; gives the grant that is there where it was granted before.

        Raises OSError: EADDRINUSE where the app listens at that address itself, EPIPE where the gate does not
        run or the world has ended.
        """
        places = self._places(address)
        sockets = await self._open_sockets([spec for spec, _ in places])
        with contextlib.ExitStack() as stack:
            for each in sockets:
                stack.enter_context(each)
            if self._nursery is None:
                raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
            # Sync from here on: no second grant of the same address comes between.
            present = self._granted.get(address)
            if present is not None and not present.closed:
                return present
            grant = self._grant(address, iter(sockets))
            stack.pop_all()
        self._nursery.start_soon(grant.serve, self._acceptor, self._carrier)
        return grant

    async def finish(self) -> None:
        """Once a world's processes have gone: carry what they sent to its end, tell what they were refused.

        A program may write, close and exit at once, and its kernel would still deliver. Waits for outside
        peers that do not read, at most 5 s, and not at all where nothing is open. Call it before `run` is
        cancelled.
        """
        for _ in range(_TICKS):
            await trio.lowlevel.checkpoint()
        if self._watcher is not None:
            self._watcher.read_all()
        with trio.move_on_after(FINISH_SECONDS):
            await self._carrier.all_sent()

    def _places(self, address: Address) -> list[tuple[Spec, str]]:
        """Where an address is listened for inside: each socket's spec and the literal that it is bound to."""
        hosts = [address.host] if address.literal else [str(each) for each in self.names.grant(address.host)]
        if is_localhost(address.host) and not ipv6_works():
            hosts = hosts[:1]
        return [((family_of(host), socket.SOCK_STREAM, 0), host) for host in hosts]

    def _grant(self, address: Address, sockets: Iterator[socket.socket]) -> Dialed:
        """Listen for an address on as many of `sockets` as it takes."""
        places = self._places(address)
        listeners = list(itertools.islice(sockets, len(places)))
        for listener, (_, host) in zip(listeners, places, strict=True):
            try:
                listen_at(listener, host, address.port)
            except OSError as error:
                raise OSError(error.errno, f"{address} cannot be granted: {error.strerror}") from error
        self._granted[address] = grant = Dialed(address, listeners)
        return grant

    async def _publish(
        self,
        published: Published,
        watching: watcher.Watcher,
        nursery: trio.Nursery,
        stack: contextlib.ExitStack,
    ) -> None:
        publication = published.publication
        app = stack.enter_context(contextlib.closing(AppPort(publication.port, self._open_sockets, watching)))
        address = f"tcp!{publication.host}!{publication.outside_port}"

        async def carry(outer: socket.socket) -> None:
            fields: dict[str, object] = {"address": address, "port": publication.port, "peer": peer_of(outer)}
            await self._carrier.listen(fields, outer, app.connect)

        await self._acceptor.accept(published.listener, carry, address, nursery)
