"""Where granted addresses are listened for inside: sockets of a world's network, and what each stands for.

Rules:
- A place is one socket: network, literal address and port inside. Grants share it; it is closed when the last
  one that needs it is taken back.
- All that is missing is opened in one request, and bound; where one cannot be had, all of it is closed again.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import trio

from libos.net.address import Address
from libos.net.naming.names import Names, is_localhost
from libos.net.routed.sides import Sides, side_of
from libos.net.sockets import Spec, family_of, ipv6_works, listen_at

_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


Socket: TypeAlias = socket.socket  # Place has a field of that name


@dataclass(eq=False)
class Place:
    """One socket inside, bound, and for TCP listening. `address` is what it stands for."""

    literal: str
    address: Address
    socket: socket.socket
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    def reached(self, connection: Socket) -> Address:
        """The address that a connection accepted here was made to. Raises OSError."""
        del connection
        return self.address

    def close(self) -> None:
        """Refuse from now on. May be called again."""
        # Cancelling first takes the socket out of trio's hands at once; only then may it be closed.
        self.scope.cancel()
        self.socket.close()


Key = tuple[str, str, int]


class Places:
    """The places of one world."""

    def __init__(self, names: Names, sides: Sides) -> None:
        self._names = names
        self._sides = sides
        self._open: dict[Key, Place] = {}

    def __iter__(self) -> Iterator[Place]:
        return iter(list(self._open.values()))

    def missing(self, addresses: Iterable[Address]) -> list[tuple[str, Address]]:
        """The literal and the address of each place that is not there yet."""
        wanted: dict[Key, tuple[str, Address]] = {}
        for address in addresses:
            for literal in self._literals(address):
                key = (address.network, literal, address.port)
                if key not in self._open:
                    wanted.setdefault(key, (literal, address))
        return list(wanted.values())

    async def open(self, addresses: Iterable[Address]) -> list[Place]:
        """Listen for addresses; gives the places that are new. Raises OSError: EADDRINUSE where the app
        listens there itself, EPIPE where the world has ended."""
        missing = self.missing(addresses)
        if not missing:
            return []
        sockets = await self._sides.open(specs(missing))
        return self.bind(missing, sockets)

    def bind(self, missing: list[tuple[str, Address]], sockets: Iterable[socket.socket]) -> list[Place]:
        """The same with sockets that are there already, as many as `specs` says; owns them. Sync: no other
        grant of the same address comes between."""
        with contextlib.ExitStack() as stack:
            given = [stack.enter_context(each) for each in sockets]
            made = {}
            for (literal, address), each in zip(missing, given, strict=True):
                key = (address.network, literal, address.port)
                if key in self._open:  # granted by another task in the meantime
                    continue
                _bind(each, literal, address)
                made[key] = Place(literal, address, each)
            stack.pop_all()
        for each in given:
            if all(place.socket is not each for place in made.values()):
                each.close()
        self._open |= made
        return list(made.values())

    def inodes(self) -> set[int]:
        """What tells these sockets from the app's own, where the kernel lists all of a namespace."""
        return {os.fstat(place.socket.fileno()).st_ino for place in self}

    def close(self, place: Place) -> None:
        """Close one."""
        self._open.pop((place.address.network, place.literal, place.address.port), None)
        place.close()

    def close_all(self) -> None:
        """Close all."""
        for place in self:
            self.close(place)

    def _literals(self, address: Address) -> list[str]:
        if address.literal is not None:
            return [address.host]
        hosts = [str(each) for each in self._names.give(address.host)]
        return hosts[:1] if is_localhost(address.host) and not ipv6_works() else hosts


def specs(missing: Iterable[tuple[str, Address]]) -> list[tuple[str, Spec]]:
    """What to ask init for, and on which side."""
    return [
        (side_of(literal), (family_of(literal), _KINDS[address.network], 0)) for literal, address in missing
    ]


def _bind(bound: socket.socket, literal: str, address: Address) -> None:
    try:
        if address.network == "tcp":
            listen_at(bound, literal, address.port)
        else:
            bound.setblocking(False)
            bound.bind((literal, address.port))
    except OSError as error:
        raise OSError(error.errno, f"{address} cannot be granted: {error.strerror}") from error
