"""Tells an app that a datagram was refused: the ICMP message that a kernel would send, made inside.

Rules: what the kernel reads of it is the packet that was refused, by which it finds the app's socket; a
connected one then gets ECONNREFUSED (udp(7)). It is marked, so that the watcher does not take it for one of
the kernel's. Where no raw socket can be had, the app is told nothing, as on a network that drops them.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import Any

import trio

from libos.net.routed.sides import Sides, side_of
from libos.net.sockets import family_of
from libos.net.watcher import OWN_MARK

# Destination unreachable, port unreachable: RFC 792; RFC 4443, section 3.1.
_UNREACHABLE_4, _PORT_4 = 3, 3
_UNREACHABLE_6, _PORT_6 = 1, 4
_WORD = bytes(2) + OWN_MARK
_UDP_HEADER = 8
_HOPS = 64


def unreachable(source: tuple[str, int], target: tuple[str, int], size: int) -> bytes:
    """The message about a datagram of `size` bytes from `source` to `target`, without its own IP header. The
    kernel fills in the checksum for IPv6."""
    ports = struct.pack("!HHHH", source[1], target[1], min(_UDP_HEADER + size, 0xFFFF), 0)
    addresses = ipaddress.ip_address(source[0]).packed + ipaddress.ip_address(target[0]).packed
    if len(addresses) == 8:
        length = min(20 + _UDP_HEADER + size, 0xFFFF)
        header = struct.pack("!BBHHHBBH", 0x45, 0, length, 0, 0, _HOPS, socket.IPPROTO_UDP, 0)
        body = _WORD + header + addresses + ports
        head = struct.pack("!BBH", _UNREACHABLE_4, _PORT_4, 0)
        return struct.pack("!BBH", _UNREACHABLE_4, _PORT_4, checksum(head + body)) + body
    length = min(_UDP_HEADER + size, 0xFFFF)
    header = struct.pack("!IHBB", 6 << 28, length, socket.IPPROTO_UDP, _HOPS)
    return struct.pack("!BBH", _UNREACHABLE_6, _PORT_6, 0) + _WORD + header + addresses + ports


def checksum(data: bytes) -> int:
    """The internet checksum: RFC 1071. `data` has an even length."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Refuser:
    """Refuses in one world."""

    def __init__(self, sides: Sides) -> None:
        self._sides = sides
        self._sockets: dict[tuple[str, int], socket.socket | None] = {}
        self._turn = trio.Lock()

    def is_open(self, literal: str) -> bool:
        """Whether `open` was called for an address like this one."""
        return (side_of(literal), family_of(literal)) in self._sockets

    async def open(self, literal: str) -> None:
        """Have what `refuse` needs for an address. Raises nothing."""
        side, family = key = side_of(literal), family_of(literal)
        async with self._turn:
            if key not in self._sockets:
                protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
                try:
                    (made,) = await self._sides.open([(side, (family, socket.SOCK_RAW, protocol))])
                    made.setblocking(False)
                    self._sockets[key] = made
                except OSError:
                    self._sockets[key] = None

    def refuse(self, client: Any, literal: str, port: int, size: int = 0) -> None:
        """Tell a client that a datagram to an address was refused; nothing where `open` got nothing."""
        raw = self._sockets.get((side_of(literal), family_of(literal)))
        if raw is None:
            return
        message = unreachable(client[:2], (literal, port), size)
        try:
            raw.sendto(message, (client[0], 0))
        except OSError:
            pass  # as if it were lost

    def close(self) -> None:
        """Close its sockets."""
        for made in self._sockets.values():
            if made is not None:
                made.close()
        self._sockets.clear()
