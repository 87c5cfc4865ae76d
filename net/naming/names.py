"""A world's name table: which names have addresses in it, and which.

Rules:
- A name that was granted in full has one address from 198.18.0.0/15, given at its first grant and kept as
  long as the world runs, so what a program has looked up stays true.
- A name that a pattern covers is given one when a program asks for it (`give`), and may lose it again
  (`forget`). An address is given a second time only once all 131,000 have been given, the oldest first.
- `localhost` and names below it are the loopback addresses (RFC 6761, section 6.3): many programs know
  that without asking.
- The table is synchronous on purpose: a name is in it, with its address, from one statement to the next.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections import OrderedDict
from collections.abc import Iterable

from libos.net.address import NAME_NETWORK, Literal, check_name

# Where the world's DNS responder listens: the first host of the network.
RESOLVER = NAME_NETWORK[1]
# What names get: all hosts of the network after it.
_FIRST, _LAST = 2, NAME_NETWORK.num_addresses - 2
# Where Debian puts the host's own name (Debian Reference, section 5.1.1), so that 127.0.0.1 is called
# localhost.
_OWN_ADDRESS = ipaddress.IPv4Address("127.0.1.1")
LOOPBACK: tuple[Literal, ...] = (ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1"))


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
        # The one that was used least recently is first.
        self._given: OrderedDict[str, ipaddress.IPv4Address] = OrderedDict()
        self._names: dict[Literal, str] = {}
        self._numbers = itertools.cycle(range(_FIRST, _LAST + 1))
        for name in granted:
            self.grant(name)

    def grant(self, name: str) -> tuple[Literal, ...]:
        """Make `name` known, if it is not yet, and give the world's addresses for it, always the same ones.

        Raises ValueError where it is no host name, or where 131,000 names have one.
        """
        name = check_name(name)
        if is_localhost(name):
            return LOOPBACK
        if name not in self._granted:
            self._granted[name] = self._given.pop(name) if name in self._given else self._next(name)
        return (self._granted[name],)

    def give(self, name: str) -> tuple[Literal, ...]:
        """The same for a name that `forget` may take out again. This is a use of it."""
        name = check_name(name)
        if is_localhost(name) or name in self._granted:
            return self.grant(name)
        if name not in self._given:
            self._given[name] = self._next(name)
        self.used(name)
        return (self._given[name],)

    def used(self, name: str) -> None:
        """Make a given name the one that was used last; nothing for any other name."""
        if name in self._given:
            self._given.move_to_end(name)

    def forget(self, name: str) -> None:
        """Take a given name out."""
        del self._names[self._given.pop(name)]

    @property
    def given(self) -> list[str]:
        """The names that may be forgotten, the one that was used least recently first."""
        return list(self._given)

    @property
    def full(self) -> list[str]:
        """The names that were granted in full, in order."""
        return list(self._granted)

    def is_own(self, name: str) -> bool:
        """Whether a name in its one spelling exists here without a grant."""
        return is_localhost(name) or (name == self._hostname.lower() and name not in self._granted)

    def lookup(self, name: str) -> tuple[Literal, ...] | None:
        """The world's addresses of a name in any case, or None where the table has no such name."""
        name = name.removesuffix(".").lower()
        if is_localhost(name):
            return LOOPBACK
        address = self._granted.get(name) or self._given.get(name)
        if address is not None:
            return (address,)
        return (_OWN_ADDRESS,) if name == self._hostname.lower() else None

    def name_of(self, address: Literal) -> str | None:
        """The name that a world's address was given to, or None."""
        if address in LOOPBACK:
            return "localhost"
        if address == _OWN_ADDRESS and self._hostname.lower() not in self._granted:
            return self._hostname
        return self._names.get(address)

    def hosts(self) -> str:
        """The text of the world's /etc/hosts (hosts(5)) as it is now; what patterns cover is not in it."""
        lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
        if self._hostname.lower() not in self._granted:
            lines.append(f"{_OWN_ADDRESS}\t{self._hostname}")
        lines += [f"{address}\t{name}" for name, address in self._granted.items()]
        return "\n".join(lines) + "\n"

    def resolv_conf(self) -> str:
        """The text of the world's /etc/resolv.conf (resolv.conf(5)); the responder answers at once."""
        return f"nameserver {RESOLVER}\noptions timeout:2 attempts:2\n"

    def _next(self, name: str) -> ipaddress.IPv4Address:
        if len(self._names) > _LAST - _FIRST:
            raise ValueError(f"no address is left in {NAME_NETWORK} for {name}")
        address = next(
            each for each in map(NAME_NETWORK.__getitem__, self._numbers) if each not in self._names
        )
        self._names[address] = name
        return address
