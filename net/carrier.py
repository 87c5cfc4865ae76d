"""One connection, from its acceptance to its end: the other side is connected, bytes are carried, events
tell of it.

Rules:
- No failure of a connection leaves here: it becomes a reset of the accepted side and an event.
- An open event is always followed by its close event, with the same connection number, cancelled or not.
- What is open is kept in `connections`; who opened it is found by others, in their own time, and stands in
  the close event where it was.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import trio

from libos.net.carried import Carried, Meter, Tap
from libos.net.relay import relay
from libos.net.sockets import Observe, abort, describe


class RefusedError(OSError):
    """Why a connection is not carried, where who raises it has told so by an event."""


@dataclass(eq=False)
class Connection:
    """One connection that is carried. `kind` is "dial" or "listen", `fields` are those of its open event,
    `end` gives the app's address and port inside, `began` is on trio's clock. `who` has what is found out
    about the program: `pid` inside and `program`."""

    number: int
    kind: str
    fields: dict[str, object]
    end: Callable[[], tuple[str, int]]
    carried: Carried
    began: float = field(default_factory=trio.current_time)
    who: dict[str, object] = field(default_factory=dict)

    @property
    def app_end(self) -> tuple[str, int]:
        """The app's address and port inside; port 0 where it has none, or the connection has gone. Asked for
        by who wants it: most connections have ended before."""
        try:
            found = self.end()
        except OSError:
            return "", 0
        return found[:2] if isinstance(found, tuple) else ("", 0)  # a unix socket has a path, mostly none


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
        tap: Callable[[dict[str, object]], Tap | None] | None = None,
    ) -> OSError | None:
        """Carry an app's connection to what `connect` gives; closes both. Gives the error that ended it, or
        None. `ended_by` says why it was cancelled; `tap` gives what looks at the bytes that go out, from the
        fields of its events. Raises Cancelled only."""
        with self._counted(meter) as carried:
            outside = await self._other_side("dial", fields, inside, connect)
            if isinstance(outside, OSError):
                return outside
            carried.tap = None if tap is None else tap(fields)
            told = {**fields, "to": _peer(outside)}
            carry = partial(relay, inside, outside, carried)
            return await self._carry("dial", told, inside.getpeername, carry, carried, ended_by)

    async def mediate(
        self,
        fields: dict[str, object],
        inside: socket.socket,
        serve: Callable[[Carried, dict[str, object]], Awaitable[None]],
        meter: Meter | None = None,
        ended_by: Callable[[], str] = str,
    ) -> OSError | None:
        """Have an app's connection served by what reaches the outside itself, when it is asked to, and closes
        `inside`; it gets the fields of the connection's events. Otherwise as `dial`."""
        with self._counted(meter) as carried:
            inside.setblocking(False)
            number = next(self._numbers)
            carry = partial(serve, carried, {**fields, "connection": number})
            told = {**fields, "to": None}
            return await self._carry("dial", told, inside.getpeername, carry, carried, ended_by, number)

    async def flow(
        self,
        fields: dict[str, object],
        app_end: tuple[str, int],
        connect: Callable[[], Awaitable[socket.socket]],
        carry: Callable[[socket.socket, Carried], Awaitable[None]],
        meter: Meter | None = None,
        ended_by: Callable[[], str] = str,
    ) -> OSError | None:
        """Have datagrams of the app carried by `carry`, with what `connect` gives, which is closed then.
        Otherwise as `dial`."""
        with self._counted(meter) as carried:
            try:
                outside = await connect()
            except OSError as error:
                self._failed("dial", fields, error)
                return error
            with outside:
                told = {**fields, "to": _peer(outside)}
                carrying = partial(carry, outside, carried)
                return await self._carry("dial", told, lambda: app_end, carrying, carried, ended_by)

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
                carry = partial(relay, inside, outside, carried)
                await self._carry("listen", dict(fields), inside.getsockname, carry, carried)

    def number(self) -> int:
        """The number of the next connection, for what is carried elsewhere: datagrams."""
        return next(self._numbers)

    def _counted(self, meter: Meter | None = None) -> _Counted:
        return _Counted(self._open, meter)

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
            self._failed(kind, fields, error)
            return error
        except BaseException:
            abort(accepted)
            raise

    def _failed(self, kind: str, fields: dict[str, object], error: OSError) -> None:
        if not isinstance(error, RefusedError):
            self._observe("error", {"operation": kind, **fields, "error": describe(error)})

    async def _carry(
        self,
        kind: str,
        fields: dict[str, object],
        end: Callable[[], tuple[str, int]],
        carry: Callable[[], Awaitable[None]],
        carried: Carried,
        ended_by: Callable[[], str] = str,
        number: int | None = None,
    ) -> OSError | None:
        """`fields` are kept, and get the connection's number."""
        number = fields["connection"] = next(self._numbers) if number is None else number
        connection = self.connections[number] = Connection(number, kind, fields, end, carried)
        error: str | None = None
        self._observe(f"{kind}.open", fields)
        if self.opened is not None:
            self.opened(connection)
        try:
            await carry()
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


class _Counted:
    """While it is entered, `opened` has what it gives. A class: a generator costs four times as much."""

    def __init__(self, opened: set[Carried], meter: Meter | None) -> None:
        self._opened = opened
        self._carried = Carried(meter=meter)

    def __enter__(self) -> Carried:
        self._opened.add(self._carried)
        return self._carried

    def __exit__(self, *_: object) -> None:
        self._opened.discard(self._carried)
        self._carried.all_sent.set()


def _peer(outside: socket.socket) -> str | None:
    """Where a connection leads in the end, as a person writes it; None for what has no address, or was reset
    already."""
    try:
        name = outside.getpeername()
    except OSError:
        return None
    if not isinstance(name, tuple) or not name[1]:
        return None
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
