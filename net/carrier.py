"""One connection, from its acceptance to its end: the other side is connected, bytes are carried, events
tell of it.

Rules:
- No failure of a connection leaves here: it becomes a reset of the accepted side and an event.
- An open event is always followed by its close event, with the same connection number, cancelled or not.
- What is open is kept in `connections`; who opened it is found by others, in their own time, and stands in the
  close event where it was.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import trio

from libos.net.relay import Carried, Meter, relay
from libos.net.sockets import Observe, abort, describe


class RefusedError(OSError):
    """Why a connection is not carried, where who raises it has told so by an event."""


@dataclass(eq=False)
class Connection:
    """One connection that is carried. `kind` is "dial" or "listen", `fields` are those of its open event,
    `app_end` is the app's address and port inside, `began` is on trio's clock. `who` has what is found out
    about the program: `pid` inside and `program`."""

    number: int
    kind: str
    fields: dict[str, object]
    app_end: tuple[str, int]
    carried: Carried
    began: float = field(default_factory=trio.current_time)
    who: dict[str, object] = field(default_factory=dict)


class Carrier:
    """Carries the connections of one world and numbers them from 1. They come from tuned listeners.

    `opened`, where it is set, is told each connection that is open from now on. It never waits.
    """

    def __init__(self, observe: Observe) -> None:
        self._observe = observe
        self._numbers = itertools.count(1)
        # What is accepted and has not ended, a waiting connect included.
        self._open: set[Carried] = set()
        self.connections: dict[int, Connection] = {}
        self.opened: Callable[[Connection], None] | None = None

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
        ended_by: Callable[[], str] = str,
    ) -> OSError | None:
        """Carry an app's connection to what `connect` gives; closes both. Gives the error that ended it, or
        None. `ended_by` says why it was cancelled. Raises Cancelled only."""
        with self._counted() as carried:
            carried.meter = meter
            outside = await self._other_side("dial", fields, inside, connect)
            if isinstance(outside, OSError):
                return outside
            fields = {**fields, "to": _peer(outside)}
            return await self._carry("dial", fields, inside, outside, carried, ended_by)

    async def listen(
        self,
        fields: dict[str, object],
        outside: socket.socket,
        connect: Callable[[], Awaitable[socket.socket]],
    ) -> None:
        """Carry an outside connection to the app that `connect` gives; closes both. Raises Cancelled only."""
        with self._counted() as carried:
            inside = await self._other_side("listen", fields, outside, connect)
            if not isinstance(inside, OSError):
                await self._carry("listen", fields, inside, outside, carried)

    def number(self) -> int:
        """The number of the next connection, for what is carried elsewhere: datagrams."""
        return next(self._numbers)

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
    ) -> socket.socket | OSError:
        try:
            accepted.setblocking(False)
            return await connect()
        except OSError as error:
            abort(accepted)
            if not isinstance(error, RefusedError):
                self._observe("error", {"operation": kind, **fields, "error": describe(error)})
            return error
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
        ended_by: Callable[[], str] = str,
    ) -> OSError | None:
        number = next(self._numbers)
        fields = {**fields, "connection": number}
        end = _end(inside.getpeername if kind == "dial" else inside.getsockname)
        connection = self.connections[number] = Connection(number, kind, fields, end, carried)
        error: str | None = None
        self._observe(f"{kind}.open", fields)
        if self.opened is not None:
            self.opened(connection)
        try:
            await relay(inside, outside, carried)
        except OSError as failure:
            error = describe(failure)
            return failure
        except BaseException:
            error = ended_by() or "the grant or its world has ended"
            raise
        finally:
            del self.connections[number]
            seconds = round(trio.current_time() - connection.began, 6)
            totals = {"sent": carried.sent, "received": carried.received, "seconds": seconds}
            self._observe(f"{kind}.close", {**fields, **totals, **connection.who, "error": error})
        return None


def _peer(outside: socket.socket) -> str | None:
    """Where a connection leads in the end, as a person writes it; None for what has no address."""
    if outside.family == socket.AF_UNIX:
        return None
    host, port = _end(outside.getpeername)
    return None if not port else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _end(name: Callable[[], tuple[str, int]]) -> tuple[str, int]:
    """getpeername(2) or getsockname(2); port 0 where the connection was reset already."""
    try:
        return name()[:2]
    except OSError:
        return "", 0
