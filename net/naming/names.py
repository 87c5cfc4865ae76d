"""A world's name table: which names exist in it, and at which addresses of the world they are found.

Rules:
- A granted name has one address from 198.18.0.0/15, given at its first grant and never changed or given
  again, so what a program has looked up stays true as long as the world runs.
- `localhost` and names below it are the loopback addresses (RFC 6761, section 6.3): many programs know
  that without asking.
- The table is synchronous on purpose: a name is in it, with its address, from one statement to the next.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from libos.net.address import NAME_NETWORK, Literal, check_name

# Where the world's DNS responder listens: the first host of the network.
RESOLVER = NAME_NETWORK[1]
# Where Debian puts the host's own name (Debian Reference, section 5.1.1), so that 127.0.0.1 is called
# localhost.
_OWN_ADDRESS = ipaddress.IPv4Address("127.0.1.1")
_LOOPBACK: tuple[Literal, ...] = (ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1"))


def is_localhost(name: str) -> bool:
    """Whether a normalized name means the loopback addresses."""
    return name == "localhost" or name.endswith(".localhost")


class Names:
    """The table of one world. `hostname` is the world's own name; `granted` are granted from the start.

    Raises ValueError where one of these cannot be the name of a host.
    """

    def __init__(self, hostname: str, granted: Iterable[str] = ()) -> None:
        self._hostname = hostname
        self._granted: dict[str, ipaddress.IPv4Address] = {}
        self._names: dict[Literal, str] = {}
        self._free = iter(range(2, NAME_NETWORK.num_addresses - 1))
        for name in granted:
            self.grant(name)

    def grant(self, name: str) -> tuple[Literal, ...]:
        """Make `name` known, if it is not yet, and give the world's addresses for it, always the same ones.

        Raises ValueError where it is no host name, or where 131,000 names have been given before it.
        """
        name = check_name(name)
        if is_localhost(name):
            return _LOOPBACK
        if name not in self._granted:
            number = next(self._free, None)
            if number is None:
                raise ValueError(f"no address is left in {NAME_NETWORK} for {name}")
            address = NAME_NETWORK[number]
            self._granted[name] = address
            self._names[address] = name
        return (self._granted[name],)

    def lookup(self, name: str) -> tuple[Literal, ...] | None:
        """The world's addresses of a name in any case, or None where the world has no such name."""
        name = name.removesuffix(".").lower()
        if is_localhost(name):
            return _LOOPBACK
        if name in self._granted:
            return (self._granted[name],)
        if name == self._hostname.lower():
            return (_OWN_ADDRESS,)
        return None

    def name_of(self, address: Literal) -> str | None:
        """The name that a world's address was given to, or None."""
        if address in _LOOPBACK:
            return "localhost"
        if address == _OWN_ADDRESS and self._hostname.lower() not in self._granted:
            return self._hostname
        return self._names.get(address)

    def hosts(self) -> str:
        """The text of the world's /etc/hosts (hosts(5)) as it is now."""
        lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
        if self._hostname.lower() not in self._granted:
            lines.append(f"{_OWN_ADDRESS}\t{self._hostname}")
        lines += [f"{address}\t{name}" for name, address in self._granted.items()]
        return "\n".join(lines) + "\n"

    def resolv_conf(self) -> str:
        """The text of the world's /etc/resolv.conf (resolv.conf(5)); the responder answers at once."""
        return f"nameserver {RESOLVER}\noptions timeout:2 attempts:2\n"
