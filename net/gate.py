"""The gate of one world: carries connections between the world and the outside, for what was granted and no more.

Rules:
- A grant is a listening socket inside, at exactly the granted address and port; the kernel refuses all else.
- Outside failure is told to the app by a reset, since its connection inside was already made when the outside was
  tried, and to the caller by an event.
- `run` owns every socket of the world's network in this process and has closed them when it returns, but for the
  watcher's, which a thread closes a moment later.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Sequence

import trio

from libos.net import outside
from libos.net.accept import Acceptor
from libos.net.address import Address
from libos.net.names import Names, is_localhost
from libos.net.relay import Carried, relay
from libos.net.sockets import (
    Observe,
    OpenSockets,
    Spec,
    abort,
    describe,
    family_of,
    ipv6_works,
    listen_at,
    tune,
)
from libos.net.watcher import SPECS, Watcher


class Dialed:
    """One granted address: its listeners inside. `close()` takes the grant back, with the connections that use it."""

    def __init__(self, address: Address, listeners: list[socket.socket]) -> None:
        self.address = address
        self._listeners = listeners
        self._scope = trio.CancelScope()

    def close(self) -> None:
        """Refuse from now on and reset what is open. May be called again. The listeners close at the next checkpoint."""
        self._scope.cancel()

    async def serve(self, gate: Gate) -> None:
        """Accept until closed or cancelled. Called once, by the gate."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    for listener in self._listeners:
                        nursery.start_soon(gate.accept_for, self.address, listener)
        finally:
            for listener in self._listeners:
                listener.close()


class Gate:
    """The gate of `world`. `observe` gets dial.open, dial.close, dial.refused, error (see docs/reference/network.md)."""

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
        self._connections = itertools.count(1)
        self._dialed: dict[Address, Dialed] = {}
        self._nursery: trio.Nursery | None = None

    async def run(
        self,
        dials: Sequence[Address] = (),
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled. started() is called when all of `dials` can be dialed and refusals are seen.

        All sockets are asked for in one request. Raises OSError where a listener cannot be made.
        """
        specs = [spec for address in dials for spec, _ in self._places(address)]
        sockets = await self._open_sockets([*SPECS, *specs])
        watched, rest = sockets[: len(SPECS)], sockets[len(SPECS) :]
        try:
            watcher = Watcher(watched, self._observe)
            dialed = self._listen(dials, rest)
        except BaseException:
            for each in rest:
                each.close()
            raise
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watcher.run)
            for grant in dialed:
                nursery.start_soon(grant.serve, self)
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    async def dial(self, address: Address) -> Dialed:
        """Grant `address` to a running gate; the grant that is there already where it was granted before.

        Raises OSError: EADDRINUSE where the app listens at the address itself, EPIPE where the world has ended.
        """
        if self._nursery is None:
            raise RuntimeError("the gate does not run")
        if address in self._dialed:
            await trio.lowlevel.checkpoint()
            return self._dialed[address]
        sockets = await self._open_sockets([spec for spec, _ in self._places(address)])
        try:
            (grant,) = self._listen([address], sockets)
        except BaseException:
            for each in sockets:
                each.close()
            raise
        self._nursery.start_soon(grant.serve, self)
        return grant

    def _places(self, address: Address) -> list[tuple[Spec, str]]:
        """Where an address is listened for inside: each socket's spec and the literal address it is bound to."""
        hosts = [address.host] if address.literal else [str(each) for each in self.names.grant(address.host)]
        if is_localhost(address.host) and not ipv6_works():
            hosts = hosts[:1]
        return [((family_of(host), socket.SOCK_STREAM, 0), host) for host in hosts]

    def _listen(self, addresses: Sequence[Address], sockets: list[socket.socket]) -> list[Dialed]:
        remaining = iter(sockets)
        grants = []
        for address in addresses:
            listeners = []
            for _, host in self._places(address):
                listener = next(remaining)
                try:
                    listen_at(listener, host, address.port)
                except OSError as error:
                    raise OSError(error.errno, f"{address} cannot be granted: {error.strerror}") from error
                listeners.append(listener)
            grants.append(Dialed(address, listeners))
        return grants

    async def accept_for(self, address: Address, listener: socket.socket) -> None:
        """Accept a grant's connections until cancelled."""

        async def serve(inside: socket.socket) -> None:
            await self._connect(address, inside)

        await self._acceptor.accept(listener, serve, str(address))

    async def _connect(self, address: Address, inside: socket.socket) -> None:
        """Carry one connection; it ends by itself, and no failure of it leaves this function."""
        try:
            tune(inside)
            outer = await outside.connect(address)
        except OSError as error:
            abort(inside)
            self._observe("error", {"operation": "dial", "address": str(address), "error": describe(error)})
            return
        except BaseException:
            abort(inside)
            raise
        fields: dict[str, object] = {"address": str(address), "connection": next(self._connections)}
        await self.carry("dial", fields, inside, outer)

    async def carry(
        self, kind: str, fields: dict[str, object], inside: socket.socket, outer: socket.socket
    ) -> None:
        """Relay one connection between its open and close events; a reset is told in the close event."""
        carried = Carried()
        began = trio.current_time()
        self._observe(f"{kind}.open", fields)
        error: str | None = None
        try:
            await relay(inside, outer, carried)
        except OSError as failure:
            error = describe(failure)
        finally:
            ended = {
                "sent": carried.sent,
                "received": carried.received,
                "seconds": round(trio.current_time() - began, 6),
                "error": error,
            }
            self._observe(f"{kind}.close", {**fields, **ended})
