"""What one dial grant says: what it covers and what it does not, the way outside, its limits. Pure.

The order of a world's grants matters: the first one whose `to` covers an address decides (`decide`); where
one of its `deny` covers it too, it is refused, and no later grant is asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from socket import socket
from typing import TYPE_CHECKING, Protocol, TypeVar

from libos.net.address import Address
from libos.net.granting.target import Target

if TYPE_CHECKING:
    from libos.net.http.rules import Http

# Gives a connected, non-blocking socket that leads to an address; raises OSError. It may be called by several
# tasks at once and leaves nothing open when cancelled.
Connect = Callable[[Address], Awaitable[socket]]


@dataclass(frozen=True)
class Limits:
    """What a grant's connections may use up together; None is without limit.

    `connections` are open at once (UDP flows count), `sent` and `received` bytes in total, `rate` bytes a
    second each way.
    """

    connections: int | None = None
    sent: int | None = None
    received: int | None = None
    rate: int | None = None

    def narrowed(self, other: Limits) -> Limits:
        """The smaller of both in each."""
        return Limits(
            _least(self.connections, other.connections),
            _least(self.sent, other.sent),
            _least(self.received, other.received),
            _least(self.rate, other.rate),
        )


@dataclass(frozen=True)
class Rule:
    """One dial grant as it was asked for. `private` lets a name lead to private, loopback and link-local
    addresses. `via` connects in place of the gate's own way outside; `via_text` is how people wrote it. With
    `http` its connections are not relayed but speak HTTP/1.1 with the gate, which judges each request."""

    to: Target
    deny: tuple[Target, ...] = ()
    private: bool = False
    via: Connect | None = None
    via_text: str = ""
    limits: Limits = Limits()
    ask: bool = False
    ask_seconds: float | None = None
    http: Http | None = None
    origin: str = field(default="", compare=False)

    def denies(self, address: Address) -> bool:
        """Whether one of its exceptions covers an address."""
        return any(target.covers(address) for target in self.deny)

    @property
    def speaks_tls(self) -> bool:
        """Whether the gate ends TLS on some port of it."""
        return self.http is not None and any(map(self.http.over_tls, self.to.each_port()))

    def __str__(self) -> str:
        return str(self.to)


class Ruled(Protocol):
    """What holds a rule."""

    @property
    def rule(self) -> Rule: ...


R = TypeVar("R", bound=Ruled)


def host_names(rules: Iterable[Rule]) -> list[str]:
    """The host names that rules name in full: these exist in the world from the start."""
    return [rule.to.host for rule in rules if rule.to.range is None and not rule.to.is_pattern]


def decide(grants: Iterable[R], address: Address) -> R | None:
    """The grant by which an address may be reached, or None."""
    for grant in grants:
        if grant.rule.to.covers(address):
            return None if grant.rule.denies(address) else grant
    return None


def ports_of_name(grants: Sequence[R], name: str) -> list[Address]:
    """The addresses of a name that may be reached by a pattern or otherwise, in order, each once."""
    found = dict.fromkeys(_covered(grants, name))
    return [address for address in found if decide(grants, address) is not None]


def allows_name(grants: Sequence[R], name: str) -> bool:
    """Whether a name may be reached at some port."""
    return any(decide(grants, address) is not None for address in _covered(grants, name))


def port_count(grants: Iterable[R], name: str) -> int:
    """How many ports of a name grants cover, at most."""
    return sum(
        last - first + 1
        for grant in grants
        if grant.rule.to.covers_host(name)
        for first, last in grant.rule.to.ports
    )


def _covered(grants: Iterable[R], name: str) -> Iterable[Address]:
    for grant in grants:
        to = grant.rule.to
        if to.covers_host(name):
            for port in to.each_port():
                yield Address(to.network, name, port)


def _least(one: int | None, other: int | None) -> int | None:
    return min((each for each in (one, other) if each is not None), default=None)
