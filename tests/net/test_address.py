"""Dial strings: one spelling each, and a sentence for what is none."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libos.net.address import Address, parse


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("tcp!api.example.com!443", "api.example.com", 443),
        ("tcp!API.Example.COM.!https", "api.example.com", 443),
        ("tcp!10.1.2.3!postgresql", "10.1.2.3", 5432),
        ("tcp!2001:DB8:0:0::7!80", "2001:db8::7", 80),
        ("tcp!::ffff:10.0.0.1!80", "10.0.0.1", 80),
        ("tcp!::1!65535", "::1", 65535),
        ("tcp!_http._tcp.example!1", "_http._tcp.example", 1),
        ("tcp!localhost!22", "localhost", 22),
        ("tcp!xn--bcher-kva.example!80", "xn--bcher-kva.example", 80),
    ],
)
def test_a_dial_string_is_read_into_its_one_spelling(text: str, host: str, port: int) -> None:
    address = parse(text)
    assert (address.network, address.host, address.port) == ("tcp", host, port)
    assert parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("api.example.com:443", "tcp!HOST!PORT"),
        ("", "tcp!HOST!PORT"),
        ("tcp!a!b!c", "tcp!HOST!PORT"),
        ("net!a!53", 'network "net"'),
        ("tcp!!80", "host is empty"),
        ("tcp!.!80", "host is empty"),
        ("tcp!a!0", "1 to 65535"),
        ("tcp!a!65536", "1 to 65535"),
        ("tcp!a!99999999999999999999", "1 to 65535"),
        ("tcp!a!-1", "neither a port number"),
        ("tcp!a!", "neither a port number"),
        ("tcp!a!٣", "neither a port number"),
        ("tcp!a!no-such-service", "neither a port number"),
        ("tcp!a!\0", "cannot be printed"),
        ("tcp!a b!80", "no host name"),
        ("tcp!a..b!80", "no host name"),
        ("tcp!-a!80", "no host name"),
        (f"tcp!{'a' * 64}.b!80", "no host name"),
        (f"tcp!{'a.' * 127}a!80", "no host name"),
        ("tcp!*.example.com!80", "wildcard"),
        ("tcp!bücher.example!80", "xn--"),
        ("tcp!256.1.1.1!80", "neither an IP address"),
        ("tcp!127.1!80", "neither an IP address"),
        ("tcp![::1]!80", "without brackets"),
        ("tcp!fe80::1%eth0!80", "without a zone"),
        ("tcp!0.0.0.0!80", "one host"),
        ("tcp!::!80", "one host"),
        ("tcp!224.0.0.1!80", "one host"),
        ("tcp!ff02::1!80", "one host"),
        ("tcp!255.255.255.255!80", "one host"),
        ("tcp!198.18.0.9!80", "world's names"),
    ],
)
def test_what_is_no_address_is_a_value_error_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse(text)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text())
def test_any_text_gives_an_address_or_a_value_error(text: str) -> None:
    for candidate in (text, f"tcp!{text}!80", f"tcp!a!{text}"):
        try:
            address = parse(candidate)
        except ValueError:
            continue
        assert parse(str(address)) == address


@given(st.ip_addresses(), st.integers(1, 65535))
def test_any_literal_keeps_its_value(
    literal: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    try:
        address = parse(f"tcp!{literal}!{port}")
    except ValueError:
        return
    assert address.literal in (literal, getattr(literal, "ipv4_mapped", None))


def test_a_name_has_no_literal() -> None:
    assert Address("tcp", "api.example.com", 443).literal is None
