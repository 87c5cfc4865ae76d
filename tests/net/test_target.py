"""Targets: one spelling each, what each covers, and a sentence for what is none."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libos.net.address import Address, parse
from libos.net.granting.rule import Rule, decide, host_names, ports_of_name
from libos.net.granting.target import parse_target, target_of


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("tcp!API.Example.com.!https", "tcp!api.example.com!443"),
        ("udp!ns.example!domain", "udp!ns.example!53"),
        ("tcp!*.Example.org!443", "tcp!*.example.org!443"),
        ("tcp!**.example.org!443,80", "tcp!**.example.org!80,443"),
        ("tcp!*!443", "tcp!*!443"),
        ("tcp!10.0.0.0/8!5432", "tcp!10.0.0.0/8!5432"),
        ("tcp!2001:DB8::/32!1-3,3-5,7", "tcp!2001:db8::/32!1-5,7"),
        ("tcp!a!80,81,82", "tcp!a!80-82"),
    ],
)
def test_a_target_is_read_into_its_one_spelling(text: str, spelling: str) -> None:
    assert str(parse_target(text)) == spelling
    assert parse_target(spelling) == parse_target(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a:80", "tcp!HOST!PORT"),
        ("sctp!a!80", 'network "sctp"'),
        ("tcp!**!80", "every name"),
        ("tcp!a*.example!80", "whole labels"),
        ("tcp!a.*.example!80", "whole labels"),
        ("tcp!*.*.example!80", "wildcard"),
        ("tcp!*.127.1!80", "neither an IP address"),
        ("tcp!10.1.0.0/8!80", "host bits"),
        ("tcp!10.0.0.0/33!80", "range"),
        ("tcp!198.18.4.0/24!80", "world's names"),
        ("tcp!224.0.0.0/4!80", "multicast"),
        ("tcp!a!80-70", "above the last"),
        ("tcp!a!1-1025", "1025 ports"),
        ("tcp!a!1-70000", "1 to 65535"),
        ("tcp!a!80,", "port"),
        ("tcp!a!1-x", "neither a port number"),
    ],
)
def test_what_is_no_target_is_a_value_error_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse_target(text)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "covered", "not_covered"),
    [
        (
            "tcp!*.example.org!443",
            ["tcp!a.example.org!443"],
            ["tcp!example.org!443", "tcp!a.b.example.org!443"],
        ),
        (
            "tcp!**.example.org!443",
            ["tcp!a.b.example.org!443"],
            ["tcp!example.org!443", "tcp!xexample.org!443"],
        ),
        (
            "tcp!*!80-90",
            ["tcp!a.b.c!85"],
            ["tcp!10.0.0.1!85", "tcp!localhost!85", "tcp!x.localhost!85", "udp!a!85"],
        ),
        (
            "tcp!10.0.0.0/8!1,3",
            ["tcp!10.9.9.9!3"],
            ["tcp!11.0.0.1!3", "tcp!10.0.0.1!2", "tcp!::1!1", "tcp!a!1"],
        ),
        ("udp!a!53", ["udp!a!53"], ["tcp!a!53", "udp!a!54", "udp!b!53"]),
    ],
)
def test_what_a_target_covers(pattern: str, covered: list[str], not_covered: list[str]) -> None:
    target = parse_target(pattern)
    assert all(target.covers(parse(each)) for each in covered)
    assert not any(target.covers(parse(each)) for each in not_covered)


class Held:
    def __init__(self, to: str, *deny: str) -> None:
        self.rule = Rule(parse_target(to), tuple(parse_target(each) for each in deny))


def test_the_first_grant_that_covers_decides() -> None:
    grants = [Held("tcp!**.example.org!443", "tcp!bad.example.org!443"), Held("tcp!bad.example.org!443,80")]
    assert decide(grants, parse("tcp!good.example.org!443")) is grants[0]
    assert decide(grants, parse("tcp!bad.example.org!443")) is None
    assert decide(grants, parse("tcp!bad.example.org!80")) is grants[1]
    assert decide(grants, parse("tcp!else.example!443")) is None
    assert ports_of_name(grants, "bad.example.org") == [Address("tcp", "bad.example.org", 80)]
    assert ports_of_name(grants, "x.example.org") == [Address("tcp", "x.example.org", 443)]


def test_names_that_exist_from_the_start_are_those_named_in_full() -> None:
    rules = [
        Rule(parse_target(each)) for each in ("tcp!a!1", "tcp!*.b!1", "tcp!10.0.0.1!1", "tcp!10.0.0.0/8!1")
    ]
    assert host_names(rules) == ["a"]
    assert target_of(parse("tcp!a!1")) == rules[0].to


PIECES = st.sampled_from(
    [
        "tcp!",
        "udp!",
        "!",
        "*.",
        "**.",
        "*",
        "a",
        "example.org",
        "10.0.0.0/8",
        "::/0",
        "::1",
        "[",
        "%",
        "/",
        ",",
        "-",
    ]
)


@example("tcp!\ntcp!")
@given(st.lists(PIECES | st.integers(-1, 70000).map(str) | st.text(max_size=3), max_size=9).map("".join))
def test_any_text_is_a_target_that_reads_back_or_one_sentence(text: str) -> None:
    try:
        target = parse_target(text)
    except ValueError as error:
        assert str(error).isprintable()
        return
    assert parse_target(str(target)) == target
    for address in target.addresses():
        assert target.covers(address)
        assert target_of(address).covers(address)
