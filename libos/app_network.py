"""What an app offers on its network: where it may connect to, where it is reached, what it does there."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

import trio

from libos.app_files import REVOKE_TIMEOUT
from libos.process import Process
from libos.seeing import connections

if TYPE_CHECKING:
    from libos.dialing import DialGrant, Dials
    from libos.net.gate import Gate
    from libos.plan import Plan
    from libos.publishing import Publications, PublishGrant


class AppNetwork(Process):
    """The part of an app that is its network."""

    plan: Plan
    gate: Gate
    # What it may connect to: iterate over it.
    dials: Dials
    # Where it is reached from outside.
    publications: Publications

    async def dial(self, to: str, **keys: Any) -> DialGrant:
        """Let the app connect somewhere more while it runs, and give the grant of it.

        `to` and `keys` are those of a [[dial]]: deny, private, via, connections, sent, received, rate, ask.
        `via` may be an async function: it gets the stream, as a trio.SocketStream, and the address where it
        takes two arguments. A new name stands in the world's /etc/hosts from now on. Exactly the same as was
        granted before is that grant. Raises ManifestError, SupervisorError (the app listens there itself).
        """
        return await self.dials.dial(to, keys)

    @asynccontextmanager
    async def dialed(self, to: str, **keys: Any) -> AsyncIterator[DialGrant]:
        """Let the app connect somewhere for the length of a block; see `dial`."""
        grant = await self.dial(to, **keys)
        try:
            yield grant
        finally:
            with trio.move_on_after(REVOKE_TIMEOUT, shield=True):
                await grant.revoke()

    async def publish(
        self,
        port: int,
        where: str | int | None = None,
        *,
        network: Literal["tcp", "udp"] | None = None,
        proxy_protocol: bool = False,
    ) -> PublishGrant:
        """Make a port of the app reachable from outside while it runs, and give the grant of it; it listens
        outside by then, whether the app listens yet or not.

        `where` is as in a [[listen]]: "IP:PORT", a port at 127.0.0.1 (0 is any free one), "5353/udp",
        "unix:/PATH"; the same port unless said. Raises ManifestError, HostError where the address is taken,
        SupervisorError where the world has ended.
        """
        await trio.lowlevel.checkpoint()
        keys = {"network": network, "proxy_protocol": proxy_protocol}
        return self.publications.publish(port, where, keys)

    async def wait_listening(self, port: int) -> None:
        """Wait until a program of the world listens at a TCP port, where `connect` and publications find it:
        at 127.0.0.1, at ::1, or at all addresses. At once where it does already.

        The world must be recorded, or have been started with a [[listen]], of this port or another one.
        Raises SupervisorError where it was not and does not listen yet, and where the world ends.
        """
        from libos.publishing import wait_listening

        await wait_listening(self.gate.listening, port, self._running.ended.wait, hears=self.plan.hears)

    async def connect(self, port: int) -> socket.socket:
        """A connection to a TCP port on which the app listens, at its loopback: non-blocking, the caller's.

        Raises OSError: ECONNREFUSED where it does not listen, EPIPE where its world has ended.
        """
        return await self.gate.connect(port)

    def connections(self) -> list[dict[str, object]]:
        """The connections that are open now, oldest first; see `libos.seeing.connections`."""
        return connections(self.gate)
