"""The flows of one world: which datagram belongs to which, and how many there may be.

Rules:
- A flow is a client (an address and port inside) at one place. It counts as a connection of the grant by
  which it was opened, and ends with it.
- There are at most 1,024 a world, and at most an eighth of this process's descriptors; beyond, the one that
  is idle longest ends for the new one.
- What cannot be opened is refused inside, and so is what follows on the same flow for a second: a program
  that sends in a loop gives one attempt and one event a second.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import trio

from libos.net.accept import connection_limit
from libos.net.carrier import Carrier
from libos.net.datagrams.flow import Flow
from libos.net.datagrams.refusals import Refuser
from libos.net.granting.dialed import Dialed
from libos.net.granting.places import Place
from libos.net.granting.rule import decide
from libos.net.inbound.datagrams import Datagrams, Peer
from libos.net.sockets import Observe, describe

MOST_FLOWS = 1024
# Seconds in which a flow that cannot be opened is not tried again.
_PAUSE = 1.0
# Datagrams taken from the app before other tasks run.
_TURN = 32


class Flows:
    """Those of one gate. `grants` gives its grants as they are now."""

    def __init__(
        self, grants: Callable[[], Sequence[Dialed]], carrier: Carrier, refuser: Refuser, observe: Observe
    ) -> None:
        self._grants = grants
        self._carrier = carrier
        self._refuser = refuser
        self._observe = observe
        # The longest idle first.
        self._flows: OrderedDict[tuple[Place, Peer], Flow] = OrderedDict()
        self._told: set[Flow] = set()
        self._reading: set[Place] = set()
        self._quiet = trio.Event()

    def __len__(self) -> int:
        return len(self._flows)

    async def all_read(self) -> None:
        """Wait until what the app has sent so far belongs to flows whose tasks have begun."""
        if self._reading:
            self._quiet = trio.Event()
            await self._quiet.wait()
        await trio.lowlevel.checkpoint()

    async def finish(self) -> None:
        """End all flows, once the app has gone and what it sent is on its way."""
        while self._flows:
            for flow in self._flows.values():
                flow.finish()
            await trio.lowlevel.checkpoint()

    async def serve(self, place: Place, nursery: trio.Nursery) -> None:
        """Carry what is sent to a place until it is closed; flows run in `nursery`."""
        turn = 0
        inside = Datagrams(place.socket)
        try:
            with place.scope:
                while True:
                    try:
                        data, client = inside.receive()
                    except BlockingIOError:
                        self._rest(place)
                        await trio.lowlevel.wait_readable(place.socket)
                        self._reading.add(place)
                        continue
                    self._take(place, inside, client, data, nursery)
                    turn += 1
                    if turn % _TURN == 0:
                        await trio.lowlevel.checkpoint()
        finally:
            self._rest(place)

    def _rest(self, place: Place) -> None:
        """Nothing is there to be read at a place."""
        self._reading.discard(place)
        if not self._reading:
            self._quiet.set()

    def _take(
        self, place: Place, inside: Datagrams, client: Peer, data: bytes, nursery: trio.Nursery
    ) -> None:
        flow = self._flows.get((place, client))
        if flow is None:
            flow = self._begin(place, inside, client, nursery)
            if flow is None:
                return
        self._flows.move_to_end((place, client))
        if flow.dead:
            self._refuser.refuse(client.address, flow.literal, flow.address.port, len(data))
        else:
            flow.offer(data)

    def _begin(self, place: Place, inside: Datagrams, client: Peer, nursery: trio.Nursery) -> Flow | None:
        address, literal = place.address, place.literal
        if client.local:  # the place stands for a range
            literal = str(ipaddress.ip_address(client.local))
            address = replace(address, host=literal)
        grant = decide(self._grants(), address)
        if grant is None:  # taken back while it was on its way
            return None
        while len(self._flows) >= min(MOST_FLOWS, connection_limit()):
            _, idle = self._flows.popitem(last=False)
            idle.end("a newer flow took its place")
        refused = partial(self._refused, nursery, grant)
        flow = self._flows[place, client] = Flow(inside, client, address, literal, refused)
        nursery.start_soon(self._run, (place, client), flow, grant)
        return flow

    async def _run(self, key: tuple[Place, Peer], flow: Flow, grant: Dialed) -> None:
        client = flow.client.address[:2]
        try:
            with flow.scope:
                error = await grant.flow(
                    flow.address, client, flow.carry, self._carrier, lambda: flow.ended_by
                )
                if error is not None:
                    flow.dead = True
                    flow.drop_waiting()
                    await self._refuse(flow)
                    await trio.sleep(_PAUSE)
        finally:
            flow.drop_waiting()
            self._told.discard(flow)
            if self._flows.get(key) is flow:
                del self._flows[key]

    async def _refuse(self, flow: Flow) -> None:
        await self._refuser.open(flow.literal)
        self._refuser.refuse(flow.client.address, flow.literal, flow.address.port)

    def _refused(self, nursery: trio.Nursery, grant: Dialed, flow: Flow, error: OSError) -> None:
        if self._refuser.is_open(flow.literal):
            self._refuser.refuse(flow.client.address, flow.literal, flow.address.port)
        else:
            nursery.start_soon(self._refuse, flow)
        if flow not in self._told:
            self._told.add(flow)
            fields: dict[str, object] = {"address": str(flow.address), "grant": grant.id}
            self._observe("error", {"operation": "dial", **fields, "error": describe(error)})
