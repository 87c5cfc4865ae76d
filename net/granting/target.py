"""What a dial grant covers, written as a dial string with patterns: `tcp!**.example.org!443,8000-8010`.

Rules:
- HOST is a name, a literal address, a range of addresses (`10.0.0.0/8`), `*` (every name), or a name whose
  first label is a wildcard: `*.example.org` stands for exactly one label, `**.example.org` for one or more.
  Neither covers `example.org` itself, and no pattern of names covers an address.
- PORT is a list of ports and ranges; at most 1,024 of them, since each is a listener inside.
- A target has one spelling, so equal targets compare equal. Pure; it reads services(5) at most.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from libos.net.address import (
    NAME_NETWORK,
    Address,
    Literal,
    check_host,
    check_name,
    check_port,
    named_port,
    split,
)

Range: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# Each port of a grant is a listener inside: some 2 KiB of the kernel's memory and a descriptor.
MOST_PORTS = 1024
_ONE, _MANY = "*", "**"


@dataclass(frozen=True)
class Target:
    """`ports` are ranges, both ends included, in order and apart. `str()` gives the one spelling."""

    network: str
    host: str
    ports: tuple[tuple[int, int], ...]

    @functools.cached_property
    def literal(self) -> Literal | None:
        """The host as an address, where it is one."""
        return None if self.range is None or not _is_single(self.range, self.host) else self.range[0]

    @functools.cached_property
    def range(self) -> Range | None:
        """The host as a range of addresses (one of them for a literal); None for names."""
        try:
            return ipaddress.ip_network(self.host)
        except ValueError:
            return None

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for names that are known only once a program asks for them."""
        return self.host.startswith(_ONE)

    @property
    def is_range(self) -> bool:
        """Whether it stands for a range of addresses."""
        return "/" in self.host

    def addresses(self) -> Iterator[Address]:
        """Each single address that it names; nothing for a pattern or a range."""
        if not self.is_pattern and not self.is_range:
            for port in self.each_port():
                yield Address(self.network, self.host, port)

    def each_port(self) -> Iterator[int]:
        """Each port."""
        for first, last in self.ports:
            yield from range(first, last + 1)

    def covers(self, address: Address) -> bool:
        """Whether an address is one of those that this stands for."""
        if address.network != self.network:
            return False
        in_ports = any(first <= address.port <= last for first, last in self.ports)
        return in_ports and self.covers_host(address.host)

    def covers_host(self, host: str) -> bool:
        """The same for a host alone, in its one spelling."""
        if host == self.host:
            return True
        if self.is_range:
            assert self.range is not None
            try:
                return ipaddress.ip_address(host) in self.range
            except ValueError:
                return False
        return self.is_pattern and _matches(self.host, host)

    def __str__(self) -> str:
        ports = ",".join(str(first) if first == last else f"{first}-{last}" for first, last in self.ports)
        return f"{self.network}!{self.host}!{ports}"


def parse_target(text: str) -> Target:
    """Read a target: `tcp!HOST!PORT` with the patterns above.

    Raises ValueError with one sentence that says what is wrong and what to write instead.
    """
    network, host, ports = split(text)
    try:
        return Target(network, _host(host), _ports(ports, network))
    except ValueError as error:
        raise ValueError(f'"{text}": {error}') from None


def target_of(address: Address) -> Target:
    """The target that stands for one address."""
    return Target(address.network, address.host, ((address.port, address.port),))


def _is_single(network: Range, host: str) -> bool:
    return network.num_addresses == 1 and "/" not in host


def _host(host: str) -> str:
    if "/" in host:
        return _range(host)
    first, dot, rest = host.partition(".")
    if host == _ONE:
        return host
    if first in (_ONE, _MANY):
        if not dot:
            raise ValueError(f'"{host}": write * for every name, **.example.org for all below one')
        return f"{first}.{check_name(rest)}"
    if "*" in host:
        raise ValueError(
            f'"{host}": a wildcard stands for whole labels, and first: *.example.org for one label, '
            "**.example.org for one or more"
        )
    return check_host(host)


def _range(host: str) -> str:
    try:
        network = ipaddress.ip_network(host)
    except ValueError as error:
        raise ValueError(f'"{host}" is no range of addresses ({error}): write it as 10.0.0.0/8') from None
    if (
        network.version == 4
        and network.overlaps(NAME_NETWORK)
        and network.prefixlen >= NAME_NETWORK.prefixlen
    ):
        raise ValueError(f"{network} lies in {NAME_NETWORK}, which is used for the world's names")
    if network.is_multicast:
        raise ValueError(f"{network} is multicast, which is not carried")
    return str(network)


def _ports(text: str, network: str) -> tuple[tuple[int, int], ...]:
    ranges = sorted(_port_range(each.strip(), network) for each in text.split(","))
    joined = [ranges[0]]
    for first, last in ranges[1:]:
        if first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    count = sum(last - first + 1 for first, last in joined)
    if count > MOST_PORTS:
        raise ValueError(
            f"{count} ports are too many: a grant has at most {MOST_PORTS}, each is listened for"
        )
    return tuple(joined)


def _port_range(text: str, network: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if dash and first.isdigit() and last.isdigit() and text.isascii():
        start, end = check_port(int(first[:6])), check_port(int(last[:6]))
        if end < start:
            raise ValueError(f'"{text}": the first port is above the last')
        return start, end
    port = named_port(text, network)
    return port, port


def _matches(pattern: str, name: str) -> bool:
    """RFC 4592's wildcards stand for one or more labels; here that is `**`, and `*` is one."""
    if _is_literal(name):
        return False
    if pattern == _ONE:
        return name != "localhost" and not name.endswith(".localhost")
    first, _, rest = pattern.partition(".")
    head = name.removesuffix("." + rest)
    return head != name and (first == _MANY or "." not in head)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
