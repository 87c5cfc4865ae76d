"""Which addresses of a port reach a range's listener, as rules of the gate's side of the link. Pure.

Rules:
- A range's listener takes connections to any address at its port, so what comes for one that is not granted
  must not find it: the rules send that to a table that leads past the listener (`libos.net.link`, DETOUR),
  where the kernel refuses it as it refuses everything that nobody listens for.
- They stand in the order in which grants decide, exceptions before what they are exceptions of, and end with
  a rule for all the rest. Where they do not apply, nothing is reached that is not granted: single addresses
  have listeners of their own, and those are found on either way.
- The gate decides once more about each connection that it accepts: these rules make refusals exact, they
  are not what grants.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence

from libos.net.address import NAME_NETWORK
from libos.net.granting.rule import Rule
from libos.net.granting.target import Range, Target
from libos.net.routed.netlink import LOCAL, FibRule

# The table of the detour: `libos.net.link`.
DETOUR = 1001

# What is listened for: network, family, port.
Port = tuple[str, int, int]


def listened(rules: Iterable[Rule]) -> list[Port]:
    """The listeners that ranges need, each once."""
    ranges = (rule.to for rule in rules if rule.to.is_range)
    return list(dict.fromkeys((to.network, _family(to), port) for to in ranges for port in to.each_port()))


def policy(rules: Sequence[Rule], device: str) -> list[FibRule]:
    """The rules for the ranges among a world's grants, in order; none where there is no range. `device` is
    the gate's end of the link."""
    ways = dict.fromkeys((rule.to.network, _family(rule.to)) for rule in rules if rule.to.is_range)
    return [each for network, family in ways for each in _of_way(rules, device, network, family)]


def _of_way(rules: Sequence[Rule], device: str, network: str, family: int) -> list[FibRule]:
    def rule(to: Range | None, ports: tuple[int, int], table: int) -> FibRule:
        return FibRule(device, family, network, to, ports, table)

    grants = [each for each in rules if each.to.network == network and _family(each.to) == family]
    ranged = [ports for each in grants if each.to.is_range for ports in each.to.ports]
    found = []
    if family == socket.AF_INET:  # names are granted by name
        found += [rule(NAME_NETWORK, ports, DETOUR) for ports in ranged]
    for grant in grants:
        for target in grant.deny:
            found += [rule(to, ports, DETOUR) for to, ports in _common(grant.to, target)]
        assert grant.to.range is not None
        found += [rule(grant.to.range, ports, LOCAL) for ports in grant.to.ports]
    return found + [rule(None, ports, DETOUR) for ports in ranged]


def _family(target: Target) -> int:
    """The family of a literal or a range; 0 of names."""
    if target.range is None:
        return 0
    return socket.AF_INET if target.range.version == 4 else socket.AF_INET6


def _common(one: Target, other: Target) -> list[tuple[Range, tuple[int, int]]]:
    """What two targets, addresses or ranges, have in common: the smaller range, and ports."""
    if one.range is None or other.range is None or one.network != other.network:
        return []
    if one.range.version != other.range.version or not one.range.overlaps(other.range):
        return []
    smaller = max(one.range, other.range, key=lambda each: each.prefixlen)
    both = [(max(a, c), min(b, d)) for a, b in one.ports for c, d in other.ports]
    return [(smaller, (first, last)) for first, last in both if first <= last]


def literal_of(host: str) -> str:
    """The address that a socket says, in its one spelling: an IPv4 address inside IPv6 is the former."""
    literal = ipaddress.ip_address(host.partition("%")[0])
    mapped = literal.ipv4_mapped if isinstance(literal, ipaddress.IPv6Address) else None
    return str(mapped or literal)
