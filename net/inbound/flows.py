"""Datagrams from outside to a UDP port of the app, and its answers back: a flow for each outside peer.

Rules:
- A flow is a socket inside of its own, so that the app tells peers apart and its answers find their way: an
  address- and port-dependent filter (RFC 4787, section 5), as the socket is connected.
- A flow ends when nothing has passed for IDLE_SECONDS. There are at most MOST_FLOWS; beyond, the one that is
  idle longest among those that the app has never answered makes room, and where there is none, what comes
  from a new peer is dropped. So a flood of invented peers does not push out who is served.
- Nothing is kept for a side that does not read: what its socket does not take is dropped, as UDP does.
- A port on which the app does not listen is told once, until it is reached again.
"""

from __future__ import annotations

import os
import socket
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field

import trio

from libos.net.carried import Carried
from libos.net.carrier import Carrier, Connection
from libos.net.inbound.app_port import AppPort
from libos.net.inbound.datagrams import LARGEST, Datagrams, Peer
from libos.net.sockets import Observe, describe
from libos.net.watcher import Watcher

# RFC 4787, REQ-5: at least 2 minutes, and 5 are recommended.
IDLE_SECONDS = 300.0
# A descriptor each.
MOST_FLOWS = 512
# Datagrams carried before other tasks run.
_TURN = 32


@dataclass(eq=False)
class Flow:
    """One outside peer."""

    peer: Peer
    inside: socket.socket
    fields: dict[str, object]
    connection: Connection
    last: float
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    error: str | None = None

    @property
    def carried(self) -> Carried:
        """What has passed."""
        return self.connection.carried


class Flows:
    """The flows of one UDP publication; they stand among the connections of `carrier`."""

    def __init__(
        self,
        outside: Datagrams,
        app: AppPort,
        watcher: Watcher,
        observe: Observe,
        carrier: Carrier,
        fields: dict[str, object],
        *,
        idle_seconds: float = IDLE_SECONDS,
        most: int = MOST_FLOWS,
    ) -> None:
        self._outside = outside
        self._app = app
        self._watcher = watcher
        self._observe = observe
        self._carrier = carrier
        self._fields = fields
        self._idle = idle_seconds
        self._most = most
        self._told = False
        self._buffer = memoryview(bytearray(LARGEST))
        # The longest idle first.
        self._flows: OrderedDict[Peer, Flow] = OrderedDict()

    def __len__(self) -> int:
        return len(self._flows)

    async def run(self) -> None:
        """Carry until cancelled; all flows have ended then."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._expire)
            turn = 0
            while True:
                turn += 1
                if turn % _TURN == 0:
                    await trio.lowlevel.checkpoint()
                try:
                    data, peer = self._outside.receive()
                except BlockingIOError:
                    await trio.lowlevel.wait_readable(self._outside.socket)
                    continue
                flow = self._flows.get(peer)
                if flow is None:
                    await self._open(peer, data, nursery)
                else:
                    self._deliver(flow, data)

    def _deliver(self, flow: Flow, data: bytes) -> None:
        self._touch(flow)
        try:
            flow.inside.send(data)
            number = flow.inside.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(flow, error)
            return
        if number:
            self._watcher.own_ports.add(("udp", flow.inside.getsockname()[1]))
            self._end(flow, OSError(number, os.strerror(number)))
            return
        flow.carried.received += len(data)

    def _touch(self, flow: Flow) -> None:
        flow.last = trio.current_time()
        if self._flows.get(flow.peer) is flow:  # else it is ending
            self._flows.move_to_end(flow.peer)

    def _end(self, flow: Flow, error: OSError | None) -> None:
        if error is not None:
            flow.error = describe(error)
        self._forget(flow)
        flow.scope.cancel()

    def _forget(self, flow: Flow) -> None:
        if self._flows.get(flow.peer) is flow:
            del self._flows[flow.peer]

    async def _open(self, peer: Peer, data: bytes, nursery: trio.Nursery) -> None:
        if len(self._flows) >= self._most:
            unanswered = next((flow for flow in self._flows.values() if not flow.carried.sent), None)
            if unanswered is None:
                return
            self._end(unanswered, None)
        try:
            inside = await self._app.send(data)
        except OSError as error:
            if not self._told:
                self._told = True
                fields = {
                    "operation": "listen",
                    **self._fields,
                    "peer": peer.address[0],
                    "error": describe(error),
                }
                self._observe("error", fields)
            return
        self._told = False
        number = self._carrier.number()
        fields = {**self._fields, "peer": peer.address[0], "connection": number}
        carried = Carried(received=len(data))
        connection = Connection(number, "listen", fields, inside.getsockname, carried)
        flow = Flow(peer, inside, fields, connection, connection.began)
        self._flows[peer] = flow
        nursery.start_soon(self._answer, flow)

    async def _answer(self, flow: Flow) -> None:
        """Carry what the app sends to its peer, until the flow ends."""
        connection = flow.connection
        self._carrier.connections[connection.number] = connection
        self._observe("listen.open", flow.fields)
        try:
            with flow.scope:
                await self._carry_answers(flow)
        except OSError as error:
            self._end(flow, error)
        except BaseException:
            flow.error = "the grant or its world has ended"
            raise
        finally:
            self._forget(flow)
            flow.inside.close()
            del self._carrier.connections[connection.number]
            totals = {"sent": flow.carried.sent, "received": flow.carried.received}
            ended = {"seconds": round(trio.current_time() - connection.began, 6), "error": flow.error}
            self._observe("listen.close", {**flow.fields, **totals, **ended})

    async def _carry_answers(self, flow: Flow) -> None:
        turn = 0
        while True:
            turn += 1
            if turn % _TURN == 0:
                await trio.lowlevel.checkpoint()
            try:
                size = flow.inside.recv_into(self._buffer)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(flow.inside)
                continue
            self._touch(flow)
            # Counted before it leaves: a peer that answers at once finds its flow served.
            flow.carried.sent += size
            with suppress(OSError):  # EAGAIN, ENETUNREACH, EPERM of a firewall: dropped, as UDP does
                self._outside.send(self._buffer[:size], flow.peer)

    async def _expire(self) -> None:
        """End flows that have been idle for long enough, the longest first."""
        while True:
            now = trio.current_time()
            first = next(iter(self._flows.values()), None)
            if first is not None and first.last + self._idle <= now:
                self._end(first, None)
                continue
            await trio.sleep_until(first.last + self._idle if first is not None else now + self._idle)
