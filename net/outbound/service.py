"""Services: a unix socket inside a world that leads to a unix socket or a TCP address outside, or to a Python
function.

Rules:
- Its listener was made where the app cannot make one, and only its file stands in the world. Who connects is
  carried by bytes alone: no credentials (SO_PEERCRED shows the app the keeper's, and the outside the
  supervisor's) and no descriptors (SCM_RIGHTS are closed unseen).
- A failure outside ends the connection inside. A unix socket has no reset of its own: its peer sees an end of
  file, or ECONNRESET where bytes of it were not read, and EPIPE when it writes on.
- A service that is taken back refuses from then on (ECONNREFUSED), and what is open by it ends.
"""

from __future__ import annotations

import functools
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import trio

from libos.net.accept import Acceptor
from libos.net.address import Address
from libos.net.carrier import Carrier
from libos.net.outbound.connecting import ByWay
from libos.net.outbound.function import ByFunction
from libos.net.outbound.via import UnixPath, parse_via
from libos.net.sockets import Observe

Function: TypeAlias = Callable[[trio.SocketStream], Awaitable[Any]]
# Bytes of an address are of no use to a service: it leads to one place.
_NOWHERE = Address("unix", "", 0)


def parse_service(text: str) -> ByWay:
    """Read where a service leads: `unix!/run/postgresql/.s.PGSQL.5432` or `tcp!HOST!PORT`. Raises ValueError
    with one sentence."""
    if not text.startswith(("unix!", "tcp!")):
        raise ValueError(f'"{text}" is no service: write unix!/PATH or tcp!HOST!PORT')
    return ByWay(parse_via(text))


def answered_by(function: Function) -> ByFunction:
    """A service that an async function answers: it gets the stream of each connection, in its own task."""

    @functools.wraps(function)
    async def answer(stream: trio.SocketStream) -> None:
        await function(stream)

    del answer.__wrapped__  # its own signature: one argument
    return ByFunction(answer)


class Service:
    """One service of a running world. `at` is where its socket stands inside. It owns the listener."""

    def __init__(self, at: str, listener: socket.socket, way: ByWay | ByFunction) -> None:
        self.at = at
        self.closed = False
        self._listener = listener
        self._way = way
        self._scope = trio.CancelScope()
        listener.setblocking(False)

    def close(self) -> None:
        """Take it back: refuse from now on, end what is open. May be called again."""
        self.closed = True
        # Cancelling first takes the socket out of trio's hands at once; only then may it be closed.
        self._scope.cancel()
        self._listener.close()

    async def serve(self, acceptor: Acceptor, carrier: Carrier, observe: Observe) -> None:
        """Carry what connects until it is taken back or this is cancelled."""

        async def carry(inside: socket.socket) -> None:
            await self._carry(inside, carrier, observe)

        try:
            if not self.closed:
                with self._scope:
                    async with trio.open_nursery() as nursery:
                        await acceptor.accept(self._listener, carry, f"unix!{self.at}", nursery)
        finally:
            self.close()

    async def _carry(self, inside: socket.socket, carrier: Carrier, observe: Observe) -> None:
        fields: dict[str, object] = {"address": f"unix!{self.at}", "service": str(self._way)}
        failures: list[str] = []

        def fail(why: str) -> None:
            failures.append(why)
            scope.cancel()

        def why_ended() -> str:
            return failures[0] if failures else ""

        with trio.CancelScope() as scope:
            if isinstance(self._way, ByFunction):
                async with self._way.answering(fields, observe, fail) as answered:
                    connect = functools.partial(answered, _NOWHERE)
                    await carrier.dial(fields, inside, connect, ended_by=why_ended)
            else:
                await carrier.dial(fields, inside, lambda: self._way(_NOWHERE), ended_by=why_ended)


def leads_to(way: ByWay | ByFunction) -> str:
    """What carries a service, in a few words, for a person who reads a plan."""
    if isinstance(way, ByFunction):
        return "an async function answers each connection"
    kind = "unix socket" if isinstance(way.via, UnixPath) else "address"
    return f"the supervisor connects to the {kind} outside, for each connection anew"
