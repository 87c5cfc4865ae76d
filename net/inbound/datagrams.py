"""The outside end of a UDP publication: datagrams with who sent them and at which address they arrived.

An answer leaves from the address that its peer has written to: where the socket is bound to all addresses,
the kernel would choose one by its routes, and a peer that wrote to another one would not know the answer.
ip(7), IP_PKTINFO; ipv6(7), IPV6_PKTINFO.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import Any, NamedTuple

_IP_PKTINFO = 8  # linux/in.h
# struct in_pktinfo: the interface, the address to answer from, the header's destination.
_PKTINFO = struct.Struct("=i4s4s")
# struct in6_pktinfo: the address, the interface.
_PKTINFO6 = struct.Struct("=16si")
_ANCILLARY = socket.CMSG_SPACE(_PKTINFO6.size)
# The largest payload of a datagram.
LARGEST = 65_535


class Peer(NamedTuple):
    """Who sent a datagram, and where to: `local` is empty where the socket has one address."""

    address: Any
    local: bytes


def bind(bound: socket.socket, host: str, port: int) -> None:
    """Bind a UDP socket and make it non-blocking. Raises OSError (EADDRINUSE, EADDRNOTAVAIL, EACCES)."""
    bound.setblocking(False)
    # What arrives is to say where from the first datagram on, so before bind(2).
    if bound.family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        bound.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    bound.bind((host, port))


class Datagrams:
    """A UDP socket that `bind` has bound; it stays the caller's. Methods raise OSError: EAGAIN, …"""

    def __init__(self, bound: socket.socket) -> None:
        self.socket = bound
        self._everywhere = ipaddress.ip_address(bound.getsockname()[0]).is_unspecified

    def receive(self) -> tuple[bytes, Peer]:
        """The next datagram and who sent it."""
        if not self._everywhere:
            data, address = self.socket.recvfrom(LARGEST)
            return data, Peer(address, b"")
        data, ancillary, _, address = self.socket.recvmsg(LARGEST, _ANCILLARY)
        return data, Peer(address, _local(ancillary))

    def send(self, data: memoryview, peer: Peer) -> None:
        """Answer a peer from the address that it wrote to."""
        if not peer.local:
            self.socket.sendto(data, peer.address)
            return
        if self.socket.family == socket.AF_INET6:
            information = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _PKTINFO6.pack(peer.local, 0))
        else:
            information = (socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO.pack(0, peer.local, bytes(4)))
        self.socket.sendmsg([data], [information], 0, peer.address)


def _local(ancillary: list[tuple[int, int, bytes]]) -> bytes:
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO) and len(data) >= _PKTINFO.size:
            return bytes(_PKTINFO.unpack_from(data)[1])
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) and len(data) >= _PKTINFO6.size:
            return bytes(_PKTINFO6.unpack_from(data)[0])
    return b""
