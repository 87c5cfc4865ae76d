"""How many endpoints a place can reach: pairs of an address and a port, TCP's and UDP's apart. Pure.

Rules:
- With the host's network: the IPv4 addresses to which a route leads, and its loopback, each with every port.
  IPv6 is not counted.
- In a network of its own without a gate: none, its loopback leads back to itself.
- In a world: what its dial grants cover, less what they deny. A pattern of names is as many names as a world
  can give an address (198.18.0.0/15); an address that two grants cover is counted twice. A unix socket that a
  service leads outside by is counted with the sockets.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from libos.net.address import NAME_NETWORK, NETWORKS
from libos.net.granting.rule import Rule
from libos.net.granting.target import Target

_PORTS = 65535
_LOOPBACK = ipaddress.IPv4Network("127.0.0.1/32")


def routed(routes: Iterable[tuple[int, int]]) -> int:
    """The endpoints behind routes, each the first address and the mask as numbers."""
    led = [ipaddress.IPv4Network((first, mask.bit_count())) for first, mask in routes]
    reached = ipaddress.collapse_addresses([*led, _LOOPBACK])
    return sum(each.num_addresses for each in reached) * _PORTS * len(NETWORKS)


def granted(rules: Iterable[Rule]) -> int:
    """The endpoints of dial grants."""
    return sum(_size(rule.to) - sum(_common(rule.to, deny) for deny in rule.deny) for rule in rules)


def _size(target: Target) -> int:
    return _hosts(target) * sum(last - first + 1 for first, last in target.ports)


def _hosts(target: Target) -> int:
    if target.range is not None:
        return target.range.num_addresses
    return NAME_NETWORK.num_addresses if target.is_pattern else 1


def _common(target: Target, deny: Target) -> int:
    """What a denial takes away of a target: its part of the addresses, at the ports that both have."""
    if target.network != deny.network:
        return 0
    ports = sum(
        max(0, min(last, end) - max(first, start) + 1)
        for first, last in target.ports
        for start, end in deny.ports
    )
    return ports * _common_hosts(target, deny)


def _common_hosts(target: Target, deny: Target) -> int:
    if target.range is not None and deny.range is not None:
        if target.range.version != deny.range.version or not target.range.overlaps(deny.range):
            return 0
        return min(target.range.num_addresses, deny.range.num_addresses)
    if target.range is not None or deny.range is not None:
        return 0
    if deny.is_pattern:
        return _hosts(target) if deny.host == target.host or deny.covers_host(target.host) else 0
    return int(target.covers_host(deny.host))
