"""Which addresses of a port reach a range's listener: the rules of the link, tried as a kernel tries them."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libos.net.address import NAME_NETWORK, Address
from libos.net.granting.rule import Rule, decide
from libos.net.granting.target import parse_target
from libos.net.routed import policy
from libos.net.routed.netlink import LOCAL, FibRule


class Granted:
    def __init__(self, rule: Rule) -> None:
        self.rule = rule


def rule(to: str, *deny: str) -> Rule:
    return Rule(parse_target(to), tuple(parse_target(each) for each in deny))


def reaches(rules: Sequence[FibRule], address: Address) -> bool:
    """Whether a packet for an address finds the listeners of ranges: the first rule that fits says it."""
    literal = ipaddress.ip_address(address.host)
    family = socket.AF_INET if literal.version == 4 else socket.AF_INET6
    for each in rules:
        here = each.to is None or (each.to.version == literal.version and literal in each.to)
        first, last = each.ports
        same = each.family == family and each.network == address.network
        if here and same and first <= address.port <= last:
            return each.table == LOCAL
    return True


RULES = [
    rule("tcp!10.1.2.3!80", "tcp!10.1.2.3!80"),
    rule("tcp!10.0.0.0/8!80,443", "tcp!10.2.0.0/16!1-100", "tcp!10.3.3.3!443", "tcp!*.example.org!80"),
    rule("tcp!10.2.9.0/24!80"),
    rule("tcp!api.example.com!80"),
    rule("tcp!0.0.0.0/0!8000-8002"),
    rule("udp!10.0.0.0/8!53"),
    rule("tcp!fd00::/16!80", "tcp!fd00:1::/32!80"),
]


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        ("tcp!10.1.2.4!80", True),
        ("tcp!10.1.2.3!80", False),
        ("tcp!10.1.2.3!443", True),
        ("tcp!11.1.2.3!80", False),
        ("tcp!10.2.7.7!80", False),
        ("tcp!10.2.7.7!443", True),
        ("tcp!10.2.9.1!80", False),  # the grant before it covers it, and refuses it
        ("tcp!10.3.3.3!443", False),
        ("tcp!10.3.3.3!80", True),
        ("tcp!8.8.8.8!8001", True),
        ("tcp!198.18.0.9!8001", False),  # names are granted by name
        ("udp!10.1.2.3!53", True),
        ("udp!11.1.2.3!53", False),
        ("tcp!fd00::1!80", True),
        ("tcp!fd00:1::1!80", False),
        ("tcp!fe00::1!80", False),
    ],
)
def test_a_packet_finds_its_way(address: str, reached: bool) -> None:
    network, host, port = address.split("!")
    assert reaches(policy.policy(RULES, "world"), Address(network, host, int(port))) == reached


def test_without_ranges_there_are_no_rules_and_no_listeners() -> None:
    rules = [rule("tcp!10.1.2.3!80"), rule("tcp!api.example.com!443", "tcp!10.0.0.0/8!443")]
    assert policy.policy(rules, "world") == []
    assert policy.listened(rules) == []


def test_a_listener_is_shared() -> None:
    found = policy.listened(
        [rule("tcp!10.0.0.0/8!80,81"), rule("tcp!192.168.0.0/16!81"), rule("udp!::/0!81")]
    )
    inet, inet6 = socket.AF_INET, socket.AF_INET6
    assert found == [("tcp", inet, 80), ("tcp", inet, 81), ("udp", inet6, 81)]


# Few addresses, so that ranges, exceptions and what is asked for meet.
_hosts = st.integers(0, 15).map(lambda number: f"10.{number // 4}.0.{number % 4}")
_networks = st.tuples(_hosts, st.integers(6, 31)).map(
    lambda each: str(ipaddress.ip_network(each, strict=False))
)
_ports = st.sampled_from(["80", "80-81", "81,83", "80-83"])
_targets = st.builds(lambda host, ports: f"tcp!{host}!{ports}", _networks | _hosts, _ports)


@given(st.lists(st.tuples(_targets, st.lists(_targets, max_size=3)), max_size=4), _hosts, st.integers(80, 83))
def test_the_kernel_decides_as_the_gate_does(
    grants: list[tuple[str, list[str]]], host: str, port: int
) -> None:
    """At a port where a range listens: what a grant allows reaches it, nothing else does."""
    rules = [rule(to, *deny) for to, deny in grants]
    if ("tcp", socket.AF_INET, port) not in policy.listened(rules):
        return
    address = Address("tcp", host, port)
    assert address.literal not in NAME_NETWORK
    granted = decide([Granted(each) for each in rules], address)
    assert reaches(policy.policy(rules, "world"), address) == (granted is not None)
