"""Which addresses a world may dial that stands below another, and the way to them.

Rules:
- A dial is let in where the world above may dial all that it stands for.
- Each connection then goes through the gate of the world above, as if that had made it: its grants decide
  at that moment, count and tell, and what is taken from them ends it. So what is let in at the start is never
  more than what the other holds now.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from libos.net.granting.rule import decide
from libos.net.outbound.function import ByFunction
from libos.plan.network import link_shape

if TYPE_CHECKING:
    from libos.nesting.holding import Holding
    from libos.net.address import Address
    from libos.net.gate import Gate
    from libos.net.granting.dialed import Dialed
    from libos.net.granting.rule import Rule
    from libos.net.granting.target import Target
    from libos.plan import Plan


def beyond_dials(rules: Sequence[Rule], above: Holding) -> Iterator[str]:
    """What these dials are beyond those of the world above, in sentences."""
    network = above.plan.network
    if rules and (link_shape(network) is not None or network.capture is not None):
        yield f'the link of "{above.name}" is shaped or captured, and connections of other worlds pass it by'
    for rule in rules:
        if rule.to.network != "tcp":
            yield f"{rule} cannot be handed on: connections can, datagrams cannot"
        elif rule.via is not None:
            yield f'{rule} has a way outside of its own (via): its connections go through "{above.name}"'
        elif not (granted := _granting(rule.to, above.dials)):
            yield f'{rule} is not granted to "{above.name}": grant it there first'
        elif any(each.rule.http is not None for each in granted):
            yield f'{rule} is judged as HTTP in "{above.name}", and only that world trusts who judges it'


def _granting(to: Target, dials: Sequence[Dialed]) -> list[Dialed]:
    """The grants that give all that a target stands for; none where something is left."""
    singles = list(to.addresses())
    if singles:
        found = [decide(dials, address) for address in singles]
        return [each for each in found if each is not None] if all(found) else []
    for each in dials:  # names that are not known yet: one grant must give them all
        if _covers(each.rule.to, to):
            return [each]
    return []


def _covers(wide: Target, narrow: Target) -> bool:
    within = all(
        any(low <= first and last <= high for low, high in wide.ports) for first, last in narrow.ports
    )
    if wide.network != narrow.network or not within:
        return False
    if wide.is_range and narrow.is_range and wide.range is not None and narrow.range is not None:
        return wide.range.version == narrow.range.version and narrow.range.subnet_of(wide.range)  # type: ignore[arg-type]  # one version
    return wide.host == narrow.host or (wide.host == "*" and narrow.is_pattern)


def led_through(plan: Plan, gate: Gate, name: str) -> Plan:
    """The plan with every dial leading through the gate of the world above."""
    way = Through(gate, name)
    rules = tuple(replace(rule, via=way, via_text=str(way)) for rule in plan.dials)
    return replace(plan, dials=rules, within=name)


class Through(ByFunction):
    """The way through the gate of another world."""

    def __init__(self, gate: Gate, name: str) -> None:
        super().__init__(self._carry)
        self._gate = gate
        self._name = name

    def __str__(self) -> str:
        return f"the world {self._name}"

    async def _carry(self, stream: trio.SocketStream, address: Address) -> None:
        """Raises OSError for a connection that is refused there, or fails."""
        grant = decide(self._gate.grants, address)
        if grant is None:
            raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        inside = socket.socket(fileno=stream.socket.detach())
        inside.setblocking(False)
        error = await grant.carry(inside, address, self._gate.carrier)
        if error is not None:
            raise error
