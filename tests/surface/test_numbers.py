"""What is counted from values: endpoints, system calls, shares, axes."""

from __future__ import annotations

import ipaddress

import pytest

from libos.net.granting.rule import Rule
from libos.net.granting.target import parse_target
from libos.surface import endpoints
from libos.surface.axes import attack_surface, complexity, doors, outside_of
from libos.surface.survey import Survey
from libos.syscalls import Wanted, counting
from libos.syscalls.resolving import resolve

EVERY_PORT_TWICE = 2 * 65535


def rule(to: str, *deny: str) -> Rule:
    return Rule(parse_target(to), tuple(map(parse_target, deny)))


def route(text: str) -> tuple[int, int]:
    network = ipaddress.IPv4Network(text)
    return int(network.network_address), int(network.netmask)


@pytest.mark.parametrize(
    ("rules", "count"),
    [
        ([], 0),
        ([rule("tcp!api.example.com!443")], 1),
        ([rule("tcp!10.0.0.1!80,443"), rule("udp!10.0.0.1!53")], 3),
        ([rule("tcp!10.0.0.0/24!80")], 256),
        ([rule("tcp!10.0.0.0/24!80", "tcp!10.0.0.0/25!80")], 128),
        ([rule("tcp!10.0.0.0/24!80", "udp!10.0.0.0/25!80")], 256),
        ([rule("tcp!10.0.0.0/24!80-89", "tcp!10.0.0.7!85-99")], 2560 - 5),
        ([rule("tcp!10.0.0.0/24!80", "tcp!192.0.2.0/24!80")], 256),
        ([rule("tcp!**.example.org!443")], 1 << 17),
        ([rule("tcp!**.example.org!443", "tcp!secret.example.org!443")], (1 << 17) - 1),
        ([rule("tcp!www.example.org!443", "tcp!*.example.org!443")], 0),
    ],
)
def test_endpoints_of_grants(rules: list[Rule], count: int) -> None:
    assert endpoints.granted(rules) == count


def test_endpoints_of_routes_count_each_address_once_and_the_loopback() -> None:
    assert endpoints.routed([]) == EVERY_PORT_TWICE
    assert endpoints.routed([route("192.0.2.0/24"), route("192.0.2.128/25")]) == 257 * EVERY_PORT_TWICE
    assert endpoints.routed([route("0.0.0.0/0"), route("192.0.2.0/24")]) == (1 << 32) * EVERY_PORT_TWICE


def test_calls_that_pass_are_those_that_the_filter_allows_of_the_table() -> None:
    found = resolve(Wanted("compute", deny=("getpid",)))
    known = {"read", "openat", "getpid", "bpf"}
    assert counting.passing(found, known) == counting.Calls(1)
    assert counting.passing(resolve(Wanted()), {"read", "bpf", "socket"}) == counting.Calls(2, checked=1)


def test_calls_that_are_told_of_and_pass_are_all() -> None:
    assert counting.passing(resolve(Wanted("compute", log="pass")), {"read", "bpf"}) == counting.Calls(2)


def test_the_table_of_this_machine_has_what_every_machine_has() -> None:
    assert {"read", "openat", "bpf"} < counting.table()
    assert not any(name.isdigit() for name in counting.table())


OUTSIDE = Survey("outside", "", files=1000, bytes=1000, programs=10, system_calls=400, processes=9)


def test_the_place_outside_has_the_whole_of_its_own_surface() -> None:
    assert attack_surface(OUTSIDE, OUTSIDE) == 100
    assert complexity(OUTSIDE) == 1000


def test_a_place_that_holds_nothing_has_none() -> None:
    assert attack_surface(Survey("empty", ""), OUTSIDE) == 0


def test_each_door_weighs_the_same_and_one_that_is_shut_outside_nothing() -> None:
    half = Survey("half", "", bytes=500, programs=5, system_calls=200, capabilities=40)
    assert doors(half, OUTSIDE) == {"bytes": 0.5, "programs": 0.5, "system_calls": 0.5, "processes": 0}
    assert attack_surface(half, OUTSIDE) == pytest.approx(37.5)


def test_addresses_are_compared_by_their_logarithm_and_no_door_is_more_than_open() -> None:
    outside = Survey("outside", "", endpoints=999_999, bytes=1)
    some = Survey("some", "", endpoints=999, bytes=2)
    assert doors(some, outside) == {"endpoints": pytest.approx(0.5), "bytes": 1}


def test_an_outside_that_was_not_measured_is_none() -> None:
    assert outside_of([OUTSIDE]) is OUTSIDE
    assert outside_of([Survey("outside", "", problem="no"), Survey("bwrap", "")]) is None
