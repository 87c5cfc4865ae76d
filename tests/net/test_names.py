"""The name table: addresses are given once, and the texts say what the table says."""

from __future__ import annotations

import ipaddress

import pytest

from libos.net.naming.names import RESOLVER, Names

V4 = ipaddress.IPv4Address


def test_a_name_keeps_its_address() -> None:
    names = Names("world")
    first = names.grant("api.example.com")
    assert names.grant("db.example.com") != first
    assert names.grant("API.example.com.") == first
    assert names.lookup("Api.Example.Com") == first
    assert names.name_of(first[0]) == "api.example.com"


def test_no_name_has_the_resolvers_address() -> None:
    names = Names("world")
    given = {names.grant(f"n{number}.example")[0] for number in range(1000)}
    assert len(given) == 1000
    assert RESOLVER not in given


def test_a_name_that_was_not_granted_is_not_there() -> None:
    names = Names("world")
    assert names.lookup("api.example.com") is None
    assert names.name_of(V4("198.18.0.2")) is None


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "db.localhost"])
def test_localhost_is_the_loopback(name: str) -> None:
    names = Names("world")
    loopback = (V4("127.0.0.1"), ipaddress.IPv6Address("::1"))
    assert names.lookup(name) == loopback
    assert names.grant(name) == loopback
    assert "198.18" not in names.hosts()


def test_the_worlds_own_name_is_known() -> None:
    names = Names("World")
    assert names.lookup("world") == (V4("127.0.1.1"),)
    assert names.name_of(V4("127.0.1.1")) == "World"
    assert "127.0.1.1\tWorld\n" in names.hosts()


def test_a_grant_of_the_worlds_own_name_wins() -> None:
    names = Names("world")
    (address,) = names.grant("world")
    assert names.lookup("world") == (address,)
    assert "127.0.1.1" not in names.hosts()


def test_the_texts() -> None:
    names = Names("world", ["api.example.com", "localhost"])
    assert names.hosts() == (
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "127.0.1.1\tworld\n"
        "198.18.0.2\tapi.example.com\n"
    )
    assert names.resolv_conf().startswith("nameserver 198.18.0.1\n")


def test_what_is_no_name_cannot_be_granted() -> None:
    with pytest.raises(ValueError, match="no host name"):
        Names("world").grant("a b\n127.0.0.1 evil")


def test_a_given_name_is_not_in_the_hosts_file_and_can_be_forgotten() -> None:
    names = Names("world")
    (first,) = names.give("a.example")
    (second,) = names.give("B.example.")
    assert names.lookup("A.example.") == (first,)
    assert "example" not in names.hosts()
    names.give("a.example")
    assert names.given == ["b.example", "a.example"]
    names.used("b.example")
    names.used("unknown.example")
    assert names.given == ["a.example", "b.example"]
    names.forget("a.example")
    assert names.lookup("a.example") is None
    assert names.name_of(first) is None
    assert names.give("c.example") not in ((first,), (second,))


def test_a_given_name_that_is_granted_keeps_its_address() -> None:
    names = Names("world")
    given = names.give("a.example")
    assert names.grant("a.example") == given
    assert (names.given, names.full) == ([], ["a.example"])
    assert f"{given[0]}\ta.example\n" in names.hosts()
    assert names.give("a.example") == given


def test_an_address_is_given_again_only_once_all_have_been(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libos.net.naming.names._LAST", 5)
    names = Names("world")
    first = [names.give(f"n{number}.example")[0] for number in range(4)]
    with pytest.raises(ValueError, match="no address is left"):
        names.give("more.example")
    names.forget("n2.example")
    names.forget("n1.example")
    again = [names.give(f"m{number}.example")[0] for number in range(2)]
    assert again == [first[1], first[2]]
    assert names.name_of(first[1]) == "m0.example"


def test_what_exists_without_a_grant() -> None:
    names = Names("World")
    assert names.is_own("localhost") and names.is_own("db.localhost") and names.is_own("world")
    assert not names.is_own("api.example")
    names.grant("world")
    assert not names.is_own("world")
