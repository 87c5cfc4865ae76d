"""The live handle of one dial grant: its rule as it stands now, what it has carried, what is open by it.

Rules:
- A connection belongs to the grant that admitted it, and is reset when that is taken back.
- Narrowing is at once, for what is open too where it can be: a name that is denied from now on loses its
  connections; a smaller limit holds for what follows.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import trio

from libos.net.address import Address
from libos.net.granting.meter import Meter, quota_error
from libos.net.granting.rule import Limits, Rule
from libos.net.granting.target import Target
from libos.net.outbound import outside

if TYPE_CHECKING:
    from libos.net.carrier import Carrier


class Dialed:
    """One dial grant of a running world. Made by a gate; methods are for the trio thread."""

    def __init__(self, number: int, rule: Rule, release: Callable[[Dialed], None]) -> None:
        self.number = number
        self.rule = rule
        self.meter = Meter(rule.limits)
        self.opened = 0
        self.refused = 0
        self.closed = False
        self._release = release
        self._open: dict[trio.CancelScope, Address] = {}

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._open)

    def close(self) -> None:
        """Take the grant back: refuse from now on, reset the connections that use it. May be called again."""
        if not self.closed:
            self.closed = True
            self._release(self)
            self._reset(self._open)

    def narrow(self, *, deny: Iterable[Target] = (), limits: Limits | None = None) -> None:
        """Take something from it: addresses, or what it may carry. It cannot be given back."""
        more = tuple(deny)
        narrowed = self.rule.limits.narrowed(limits or Limits())
        self.rule = replace(self.rule, deny=(*self.rule.deny, *more), limits=narrowed)
        self.meter.limits = narrowed
        self._release(self)
        self._reset(scope for scope, address in self._open.items() if self.rule.denies(address))

    async def carry(self, inside: socket.socket, address: Address, carrier: Carrier) -> None:
        """Carry one connection of the app to an address that this grant covers. Raises Cancelled only."""
        with self._counted(address):
            connect = partial(self._connect, address)
            fields: dict[str, object] = {"address": str(address), "grant": self.number}
            await carrier.dial(fields, inside, connect, self.meter)

    async def _connect(self, address: Address) -> socket.socket:
        limit = self.rule.limits.connections
        if limit is not None and self.open > limit:
            raise quota_error(f"{limit} connections of this grant are open")
        if self.meter.spent:
            raise quota_error("the bytes of this grant are used up")
        if self.rule.via is not None:
            return await self.rule.via(address)
        return await outside.connect(address, private=self.rule.private)

    @contextmanager
    def _counted(self, address: Address) -> Iterator[None]:
        with trio.CancelScope() as scope:
            self._open[scope] = address
            self.opened += 1
            try:
                yield
            finally:
                del self._open[scope]

    def _reset(self, scopes: Iterable[trio.CancelScope]) -> None:
        for scope in list(scopes):
            scope.cancel()
