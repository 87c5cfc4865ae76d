"""Addresses that a world may dial, written as in Plan 9's dial(2): `tcp!api.example.com!443`.

Rules:
- An address has one spelling: host names are lower case without a final dot, literals are in their
  shortest form, an IPv4 address inside IPv6 is the IPv4 address, the port is a number. So equal addresses
  compare equal.
- Parsing does no I/O besides reading the host's services(5), and only for a service name that is not in
  the table.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import TypeAlias

Literal: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# What a world's granted names are given addresses from: RFC 2544, section 12, set aside for test beds.
NAME_NETWORK = ipaddress.IPv4Network("198.18.0.0/15")

# What is written first in a dial string.
NETWORKS = ("tcp", "udp")

# Characters: RFC 1035, section 2.3.4.
LONGEST_NAME = 253
# A label as hosts are named in practice: RFC 1123, section 2.1, and the underscore of service names (RFC
# 8552).
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")

# The service names that people write, so that a host without /etc/services knows them too: IANA's registry.
_SERVICES = {
    "ssh": 22,
    "smtp": 25,
    "domain": 53,
    "http": 80,
    "imap": 143,
    "ldap": 389,
    "https": 443,
    "submission": 587,
    "imaps": 993,
    "mysql": 3306,
    "postgresql": 5432,
    "redis": 6379,
    "git": 9418,
}


@dataclass(frozen=True)
class Address:
    """An endpoint outside of a world. `str()` gives the dial string that it was parsed from, normalized."""

    network: str
    host: str
    port: int

    @functools.cached_property
    def literal(self) -> Literal | None:
        """The host as an IP address, or None where it is a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.network}!{self.host}!{self.port}"


def split(text: str) -> tuple[str, str, str]:
    """The network, the host and the port of a dial string, as they are written but for a network that is
    known. Raises ValueError."""
    if not text.isprintable():
        raise ValueError(f"{text!r} is not a dial string: it has characters that cannot be printed")
    parts = text.split("!")
    if len(parts) != 3:
        raise ValueError(f'"{text}" is not a dial string: write tcp!HOST!PORT, as in tcp!api.example.com!443')
    network, host, port = parts
    if network not in NETWORKS:
        raise ValueError(f'"{text}": the network "{network}" is not known: write {" or ".join(NETWORKS)}')
    return network, host, port


def parse(text: str) -> Address:
    """Read a dial string, `tcp!HOST!PORT` or `udp!HOST!PORT`; PORT is a number from 1 to 65535 or the
    name of a service.

    Raises ValueError with one sentence that says what is wrong and what to write instead.
    """
    network, host, port = split(text)
    try:
        return Address(network, check_host(host), named_port(port, network))
    except ValueError as error:
        raise ValueError(f'"{text}": {error}') from None


@functools.lru_cache(maxsize=4096)  # a grant's name is looked at several times while its world starts
def check_name(name: str) -> str:
    """A host name in its one spelling. Raises ValueError where it cannot be the name of a host."""
    plain = name.removesuffix(".").lower()
    if not plain:
        raise ValueError("the host is empty")
    if not plain.isascii():
        raise ValueError(f'"{name}" is not ASCII: write its xn-- form')
    if "*" in plain:
        raise ValueError(f'"{name}": a wildcard is not the name of one host')
    labels = plain.split(".")
    if len(plain) > LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f'"{name}" is no host name')
    if labels[-1].isdigit():  # RFC 1123, section 2.1: such a string is an address, and here a wrong one
        raise ValueError(f'"{name}" is neither an IP address nor a host name')
    return plain


def check_host(host: str) -> str:
    """A name or a literal address in its one spelling. Raises ValueError where it cannot be one host."""
    if host.startswith("[") or "%" in host:
        raise ValueError("write an IPv6 address without brackets and without a zone")
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        return check_name(host)
    if isinstance(literal, ipaddress.IPv6Address) and literal.ipv4_mapped is not None:
        literal = literal.ipv4_mapped
    if literal.is_unspecified or literal.is_multicast or str(literal) == "255.255.255.255":
        raise ValueError(f"{literal} is not the address of one host")
    if literal in NAME_NETWORK:
        raise ValueError(f"{literal} lies in {NAME_NETWORK}, which is used for the world's names")
    return str(literal)


def named_port(port: str, network: str) -> int:
    """A port from its number, or from the name of a service of "tcp" or "udp". Raises ValueError."""
    if port.isascii() and port.isdigit():
        return check_port(int(port[:6]))
    if port in _SERVICES:
        return _SERVICES[port]
    try:
        return socket.getservbyname(port, network)
    except (OSError, UnicodeError, ValueError):
        raise ValueError(f'"{port}" is neither a port number nor a known service') from None


def check_port(port: int) -> int:
    """The port itself. Raises ValueError where it is not from 1 to 65535."""
    if not 1 <= port <= 65535:
        raise ValueError("a port is a number from 1 to 65535")
    return port
