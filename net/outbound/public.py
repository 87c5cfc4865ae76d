"""Which addresses are of the public internet. Pure.

Rules:
- Public is what the IANA registries for special purposes call globally reachable, and no more: for IPv6 that
  lies in 2000::/3. What is not known to be public is not.
- An address that carries an IPv4 address (mapped, 6to4, NAT64's 64:ff9b::/96) is as public as that is: a
  gateway on the way would take it there.
- The registries are written out here, since `ipaddress.is_global` differs from one Python to the next.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from libos.net.address import Literal

# IANA IPv4 Special-Purpose Address Registry (RFC 6890), and multicast (RFC 5771).
_NOT_PUBLIC_4 = tuple(
    IPv4Network(each)
    for each in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
)
_UNICAST_6 = IPv6Network("2000::/3")  # RFC 4291, section 2.4, and IANA's assignments
# IANA IPv6 Special-Purpose Address Registry; Teredo (RFC 4380) lies in the first one.
_NOT_PUBLIC_6 = tuple(IPv6Network(each) for each in ("2001::/23", "2001:db8::/32", "3fff::/20"))
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052, section 2.1


def is_public(address: Literal) -> bool:
    """Whether an address leads to the public internet, and not to this machine or to a network near it."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    carried = _carried(address)
    if carried is not None:
        return is_public(carried)
    return address in _UNICAST_6 and not any(address in network for network in _NOT_PUBLIC_6)


def _carried(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address to which a gateway would take this one, or None."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
