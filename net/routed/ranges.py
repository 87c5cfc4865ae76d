"""Ranges of addresses in a routed world: listeners that take connections to every address at a port, and the
rules that lead only what is granted to them.

Rules:
- A listener stands at the gate's end of the link, for one network, family and port, and is shared by grants.
- Rules come before the listener that needs them, and go after it: there is no moment at which more is reached
  than is granted. New rules stand, all of them, before the old ones go.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from libos.net.address import Address
from libos.net.granting.places import Place, Socket
from libos.net.granting.rule import Rule
from libos.net.inbound import datagrams
from libos.net.link_messages import DETOUR as DETOUR_MESSAGES
from libos.net.routed import netlink, policy
from libos.net.routed.sides import GATE, Sides
from libos.net.sockets import Spec, ipv6_works, listen_at

_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
_ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104 - in the gate's own namespace
# Priorities of rules, two bands that take turns; the rule that makes every address local has 30000.
_BANDS = (1_000, 15_000)
_BAND = 14_000
REMEDY = "ranges of addresses need a routed world: write routed = true in [network]"


@dataclass(eq=False)
class RangePlace(Place):
    """A listener for every address at a port. `address` has the unspecified address as its host."""

    def reached(self, connection: Socket) -> Address:
        host = policy.literal_of(connection.getsockname()[0])
        return Address(self.address.network, host, self.address.port)


class Ranges:
    """The ranges of one world."""

    def __init__(self, sides: Sides) -> None:
        self._sides = sides
        # The gate's end of the link.
        self.device = "world"
        self._netlink: socket.socket | None = None
        self._open: dict[policy.Port, RangePlace] = {}
        self._rules: list[netlink.FibRule] = []
        self._band = 0

    def __iter__(self) -> Iterator[RangePlace]:
        return iter(list(self._open.values()))

    async def open(self, held: Callable[[], Sequence[Rule]]) -> list[Place]:
        """Make what `held` gives, all that is granted, hold; gives the places that are new, to be served.

        Raises OSError: EOPNOTSUPP in a flat world, EPIPE where the world has ended, E2BIG for too many rules.
        """
        wanted = [each for each in policy.listened(_usable(held())) if each not in self._open]
        if not wanted:
            self.apply(held())
            return []
        if not self._sides.routed:
            raise OSError(errno.EOPNOTSUPP, REMEDY)
        specs: list[Spec] = [(family, _KINDS[network], 0) for network, family, _ in wanted]
        own = [netlink.SPEC] if self._netlink is None else []
        sockets = await self._sides.open([(GATE, spec) for spec in [*own, *specs]])
        with contextlib.ExitStack() as stack:
            for each in sockets:
                stack.enter_context(each)
            if self._netlink is None:
                _make_detour(sockets[0])
                self._netlink = sockets[0]
            self._replace_rules(policy.policy(_usable(held()), self.device))
            made = {
                key: _bind(each, key, self.device)
                for key, each in zip(wanted, sockets[len(own) :], strict=True)
                if key not in self._open  # granted by another task in the meantime
            }
            stack.pop_all()
        self._open |= made
        used = {self._netlink, *(place.socket for place in made.values())}
        for each in sockets:
            if each not in used:
                each.close()
        return list(made.values())

    def apply(self, rules: Sequence[Rule]) -> None:
        """Make `rules` hold that are all of what was granted, or less. Sync, and does not fail for want of
        anything but memory."""
        rules = _usable(rules)
        wanted = policy.listened(rules)
        for key in [each for each in self._open if each not in wanted]:
            self._open.pop(key).close()
        if self._netlink is not None:
            self._replace_rules(policy.policy(rules, self.device))

    def close(self) -> None:
        """Close all, and leave no rules."""
        for place in self:
            place.close()
        self._open.clear()
        if self._netlink is not None:
            self._replace_rules([])
            self._netlink.close()
            self._netlink = None

    def _replace_rules(self, rules: list[netlink.FibRule]) -> None:
        if rules == self._rules:
            return
        if len(rules) > _BAND:
            raise OSError(errno.E2BIG, f"{len(rules)} rules for ranges are too many: {_BAND} at most")
        assert self._netlink is not None
        former = _BANDS[self._band]
        self._band = 1 - self._band
        band = _BANDS[self._band]
        old = [
            ("ip rule del", netlink.delete_rule(each, former + n), True) for n, each in enumerate(self._rules)
        ]
        new = [("ip rule add", netlink.add_rule(each, band + n), True) for n, each in enumerate(rules)]
        try:
            netlink.send(self._netlink, new)
        except OSError:
            undo = [("", netlink.delete_rule(each, band + n), False) for n, each in enumerate(rules)]
            netlink.send(self._netlink, undo)
            self._band = 1 - self._band
            raise
        self._rules = rules
        netlink.send(self._netlink, old)


def _usable(rules: Sequence[Rule]) -> list[Rule]:
    """Without those of IPv6 where the kernel has none: nothing can be sent there."""
    return [each for each in rules if each.to.range is None or each.to.range.version == 4 or ipv6_works()]


def _make_detour(made: socket.socket) -> None:
    """The way past the listeners; it may be there from a gate before. Raises OSError."""
    messages = [(each.purpose, each.data, each.required) for each in DETOUR_MESSAGES]
    try:
        netlink.send(made, messages[:1])
    except FileExistsError:
        return
    netlink.send(made, messages[1:])


def _bind(bound: socket.socket, key: policy.Port, device: str) -> RangePlace:
    network, family, port = key
    address = Address(network, _ANY[socket.AddressFamily(family)], port)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")
    try:
        if network == "tcp":
            listen_at(bound, address.host, port)
        else:
            datagrams.bind(bound, address.host, port)
    except OSError as error:
        raise OSError(error.errno, f"a range at port {port} cannot be granted: {error.strerror}") from error
    return RangePlace(address.host, address, bound)
