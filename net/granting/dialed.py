"""The live handle of one dial grant: its rule as it stands now, what it has carried, what is open by it.

Rules:
- A connection belongs to the grant that admitted it, and is reset when that is taken back.
- Narrowing is at once, for what is open too where it can be: a name that is denied from now on loses its
  connections, and where fewer may be open the youngest go; what has passed counts against a smaller total,
  whose end is told at the next byte.
- What the grant itself refuses is an event of its own and no error: `dial.limited` for what ran into a limit,
  `dial.denied` where the answer to a question was no.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import trio

from libos.net.address import Address
from libos.net.carrier import RefusedError
from libos.net.granting.meter import LimitError, Meter
from libos.net.granting.presence import gone
from libos.net.granting.rule import Limits, Rule
from libos.net.granting.target import Target
from libos.net.outbound import outside
from libos.net.outbound.function import ByFunction

if TYPE_CHECKING:
    from types import TracebackType

    from libos.net.carried import Carried
    from libos.net.carrier import Carrier
    from libos.net.http.web import Web
    from libos.net.sockets import Observe

# Asks whether a grant may be used for an address, seconds for the answer or None; see `Rule.ask`.
Consult = Callable[[str, Address, float | None], Awaitable[bool]]
# Connects to the outside; raises OSError.
Via: TypeAlias = Callable[[Address], Awaitable[socket.socket]]
# Judges a datagram that is about to go out; raises OSError where it must not.
Check = Callable[[bytes], None]

# Addresses in an event of what a name led to.
_MOST_TOLD = 8

# What a connection's close event says when it ends by its grant.
_REVOKED = "the grant was taken back"
_NARROWED = "the grant was narrowed"
_GONE = "the app has gone"


@dataclass(eq=False)
class _Admitted:
    """One connection that uses a grant, a waiting one too: in `among` while it is entered. `fields` are those
    of its events."""

    address: Address
    fields: dict[str, object]
    among: dict[_Admitted, None]
    inside: socket.socket | None = None  # what the app waits on, where it is a connection
    ended_by: str = ""
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    def end(self, why: str) -> None:
        self.ended_by = self.ended_by or why
        self.scope.cancel()

    def why(self) -> str:
        return self.ended_by

    def __enter__(self) -> _Admitted:
        self.scope.__enter__()
        self.among[self] = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        del self.among[self]
        return self.scope.__exit__(kind, error, trace)


class Dialed:
    """One dial grant of a running world. Made by a gate; methods are for the trio thread.

    `refused` counts what its limits and answers have refused, `most_open` is the most that were open at once.
    """

    def __init__(
        self,
        number: int,
        rule: Rule,
        release: Callable[[Dialed], None],
        observe: Observe,
        consult: Consult | None = None,
        web: Web | None = None,
        threads: trio.CapacityLimiter | None = None,
    ) -> None:
        self.number = number
        self.rule = rule
        self.meter = Meter(rule.limits)
        self.opened = 0
        self.refused = 0
        self.most_open = 0
        self.closed = False
        self._release = release
        self._observe = observe
        self._consult = consult
        self._web = web
        self._threads = threads  # in which its names are looked up
        self._open: dict[_Admitted, None] = {}  # in the order in which they came

    @property
    def id(self) -> str:
        """What events and people call it: "d1"."""
        return f"d{self.number}"

    @property
    def open(self) -> int:
        """Connections that are open now, or wait for their other side."""
        return len(self._open)

    @property
    def open_addresses(self) -> list[Address]:
        """What these connections lead to, one each."""
        return [admitted.address for admitted in self._open]

    def close(self) -> None:
        """Take the grant back: refuse from now on, reset the connections that use it. May be called again."""
        if not self.closed:
            self.closed = True
            self._release(self)
            for admitted in list(self._open):
                admitted.end(_REVOKED)

    def narrow(self, *, deny: Iterable[Target] = (), limits: Limits | None = None) -> None:
        """Take something from it: addresses, or what it may carry. It cannot be given back."""
        narrowed = self.rule.limits.narrowed(limits or Limits())
        self.rule = replace(self.rule, deny=(*self.rule.deny, *deny), limits=narrowed)
        self.meter.limits = narrowed
        self._release(self)
        kept = [each for each in self._open if not self.rule.denies(each.address)]
        if narrowed.connections is not None:
            kept = kept[: narrowed.connections]
        for admitted in list(self._open):
            if admitted not in kept:
                admitted.end(_NARROWED)

    async def carry(self, inside: socket.socket, address: Address, carrier: Carrier) -> OSError | None:
        """Carry one connection of the app to an address that this grant covers. Gives the error that ended
        it, or None. Raises Cancelled only."""
        with self._admitted(address, inside) as admitted:
            via = self.rule.via
            if isinstance(via, ByFunction):
                async with via.answering(admitted.fields, self._observe, admitted.end) as connected:
                    error = await self._spoken(inside, admitted, connected, carrier)
            else:
                error = await self._spoken(inside, admitted, via, carrier)
            if isinstance(error, LimitError):
                self._limited(address, error)
            return error
        return ConnectionResetError(errno.ECONNRESET, admitted.why())

    async def flow(
        self,
        address: Address,
        app_end: tuple[str, int],
        carry: Callable[[socket.socket, Carried, Check | None], Awaitable[None]],
        carrier: Carrier,
        ended_by: Callable[[], str],
    ) -> OSError | None:
        """Have datagrams of the app to an address that this grant covers carried by `carry`, which gets what
        leads there and what judges each datagram. Gives the error that ended it, or None."""
        with self._admitted(address) as admitted:
            web = self._web
            check = None if web is None else partial(web.check_datagram, fields=admitted.fields)
            error = await carrier.flow(
                admitted.fields,
                app_end,
                partial(self._connect, admitted, self.rule.via),
                lambda outside, carried: carry(outside, carried, check),
                self.meter,
                lambda: ended_by() or admitted.why(),
            )
            if isinstance(error, LimitError):
                self._limited(address, error)
            return error
        return None

    async def _spoken(
        self, inside: socket.socket, admitted: _Admitted, via: Via | None, carrier: Carrier
    ) -> OSError | None:
        web, fields, connect = self._web, admitted.fields, partial(self._connect, admitted, via)
        if self.rule.http is None:
            tap = None if web is None else web.tap
            return await carrier.dial(fields, inside, connect, self.meter, admitted.why, tap)
        assert web is not None  # the gate has one

        async def serve(carried: Carried, told: dict[str, object]) -> None:
            await web.serve(inside, admitted.address, self.rule, connect, carried, told)

        return await carrier.mediate(fields, inside, serve, self.meter, admitted.why)

    async def _connect(self, admitted: _Admitted, via: Via | None) -> socket.socket:
        """Raises OSError; RefusedError for what the grant itself refuses."""
        address = admitted.address
        try:
            self._require_room()
            self.most_open = max(self.most_open, self.open)
            self.meter.require()
        except LimitError as error:
            self._limited(address, error)
            raise RefusedError(error.errno, error.strerror) from None
        if self._web is not None:  # a pattern lets the app choose the name, and its server hears of it
            try:
                self._web.check_name(address.host, admitted.fields)
            except OSError as error:
                self.refused += 1
                raise RefusedError(error.errno, error.strerror) from None
        if self.rule.ask and self._consult is not None:
            await self._ask(admitted)
        if via is not None:
            return await via(address)
        if address.literal is not None:
            return await outside.connect(address)
        resolved = partial(self._resolved, address)
        private = self.rule.private
        return await outside.connect(address, private=private, resolved=resolved, threads=self._threads)

    def _resolved(self, address: Address, found: list[str], left_out: list[str]) -> None:
        fields: dict[str, object] = {"name": address.host, "address": str(address), "grant": self.id}
        # A name may have any number of addresses; an event has a few.
        some = {"found": found[:_MOST_TOLD], "left_out": left_out[:_MOST_TOLD]}
        self._observe("name.resolved", {**fields, **some})

    def _require_room(self) -> None:
        most = self.rule.limits.connections
        if most is not None and self.open > most:
            raise LimitError("connections", f"the grant's limit of {most} connections at once")

    async def _ask(self, admitted: _Admitted) -> None:
        """Returns where the answer is yes. The question goes with the app: see `presence`."""
        assert self._consult is not None
        address, inside = admitted.address, admitted.inside

        async def watch(connection: socket.socket) -> None:
            await gone(connection)
            admitted.end(_GONE)

        async with trio.open_nursery() as nursery:
            if inside is not None:
                nursery.start_soon(watch, inside)
            allowed = await self._consult(self.id, address, self.rule.ask_seconds)
            nursery.cancel_scope.cancel()
        if not allowed:
            self.refused += 1
            self._observe("dial.denied", {"address": str(address), "grant": self.id, "reason": "answer"})
            raise RefusedError(errno.EACCES, os.strerror(errno.EACCES))

    def _limited(self, address: Address, error: LimitError) -> None:
        self.refused += 1
        self._observe(
            "dial.limited",
            {
                "address": str(address),
                "grant": self.id,
                "limit": error.limit,
                "error": f"EDQUOT: {error.strerror}",
            },
        )

    def _admitted(self, address: Address, inside: socket.socket | None = None) -> _Admitted:
        fields: dict[str, object] = {"address": str(address), "grant": self.id}
        self.opened += 1
        return _Admitted(address, fields, self._open, inside)
