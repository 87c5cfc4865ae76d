"""What comes at a place inside is let through by the first grant that covers it.

Rules:
- A connection is decided when it is accepted, not when its listener was made: what was narrowed while it
  waited in the backlog is refused.
- A place is served until it is closed; its connections and flows are children of the nursery and live on.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

import trio

from libos.net.accept import Acceptor
from libos.net.carrier import Carrier
from libos.net.datagrams.flows import Flows
from libos.net.granting.denial import denied
from libos.net.granting.dialed import Dialed
from libos.net.granting.places import Place
from libos.net.granting.rule import decide
from libos.net.naming.names import Names
from libos.net.sockets import Observe, abort


class Admission:
    """That of one world. `grants` gives its grants as they are now; `flows` carries its datagrams."""

    def __init__(
        self,
        names: Names,
        grants: Callable[[], Sequence[Dialed]],
        acceptor: Acceptor,
        carrier: Carrier,
        flows: Flows,
        observe: Observe,
    ) -> None:
        self._names = names
        self._grants = grants
        self._acceptor = acceptor
        self._carrier = carrier
        self._flows = flows
        self._observe = observe

    async def serve(self, place: Place, nursery: trio.Nursery) -> None:
        """Carry what comes at a place until it is closed, each in `nursery`."""
        if place.address.network == "udp":
            await self._flows.serve(place, nursery)
            return

        async def carry(inside: socket.socket) -> None:
            await self._carry(place, inside)

        with place.scope:
            await self._acceptor.accept(place.socket, carry, str(place.address), nursery)

    async def _carry(self, place: Place, inside: socket.socket) -> None:
        try:
            address = place.reached(inside)
        except OSError:  # it has gone already
            return
        self._names.used(address.host)
        grant = decide(self._grants(), address)
        if grant is not None:
            await grant.carry(inside, address, self._carrier)
        else:  # narrowed while it waited in the backlog
            abort(inside)
            self._observe("dial.denied", denied(self._grants(), address))
