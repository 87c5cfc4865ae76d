"""One connection, from its acceptance to its end: the other side is connected, bytes are carried, events
tell of it.

Rules:
- No failure of a connection leaves here: it becomes a reset of the accepted side and an event.
- An open event is always followed by its close event, with the same connection number, cancelled or not.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import trio

from libos.net.relay import Carried, Meter, relay
from libos.net.sockets import Observe, abort, describe


class Carrier:
    """Carries the connections of one world and numbers them from 1. They come from tuned listeners."""

    def __init__(self, observe: Observe) -> None:
        self._observe = observe
        self._numbers = itertools.count(1)
        # What is accepted and has not ended, a waiting connect included.
        self._open: set[Carried] = set()

    async def all_sent(self) -> None:
        """Wait until all that the world has sent, on connections that are open now, is on its way outside."""
        for carried in tuple(self._open):
            await carried.all_sent.wait()

    async def dial(
        self,
        fields: dict[str, object],
        inside: socket.socket,
        connect: Callable[[], Awaitable[socket.socket]],
        meter: Meter | None = None,
    ) -> None:
        """Carry an app's connection to what `connect` gives; closes both. Raises Cancelled only."""
        with self._counted() as carried:
            carried.meter = meter
            outside = await self._other_side("dial", fields, inside, connect)
            if outside is not None:
                await self._carry("dial", fields, inside, outside, carried)

    async def listen(
        self,
        fields: dict[str, object],
        outside: socket.socket,
        connect: Callable[[], Awaitable[socket.socket]],
    ) -> None:
        """Carry an outside connection to the app that `connect` gives; closes both. Raises Cancelled only."""
        with self._counted() as carried:
            inside = await self._other_side("listen", fields, outside, connect)
            if inside is not None:
                await self._carry("listen", fields, inside, outside, carried)

    @contextmanager
    def _counted(self) -> Iterator[Carried]:
        carried = Carried()
        self._open.add(carried)
        try:
            yield carried
        finally:
            self._open.discard(carried)
            carried.all_sent.set()

    async def _other_side(
        self,
        kind: str,
        fields: dict[str, object],
        accepted: socket.socket,
        connect: Callable[[], Awaitable[socket.socket]],
    ) -> socket.socket | None:
        try:
            accepted.setblocking(False)
            return await connect()
        except OSError as error:
            abort(accepted)
            self._observe("error", {"operation": kind, **fields, "error": describe(error)})
            return None
        except BaseException:
            abort(accepted)
            raise

    async def _carry(
        self,
        kind: str,
        fields: dict[str, object],
        inside: socket.socket,
        outside: socket.socket,
        carried: Carried,
    ) -> None:
        fields = {**fields, "connection": next(self._numbers)}
        began = trio.current_time()
        error: str | None = None
        self._observe(f"{kind}.open", fields)
        try:
            await relay(inside, outside, carried)
        except OSError as failure:
            error = describe(failure)
        except BaseException:
            error = "the grant or its world has ended"
            raise
        finally:
            seconds = round(trio.current_time() - began, 6)
            totals = {"sent": carried.sent, "received": carried.received, "seconds": seconds}
            self._observe(f"{kind}.close", {**fields, **totals, "error": error})
