"""Messages of sock_diag(7) for TCP and UDP sockets over IPv4 and IPv6: a request for a dump, and its answers.

Pure. Layouts: linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h. What does not fit is passed over or is a
ValueError, never an index that is out of range.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from typing import NamedTuple

# What to open inside: NETLINK_SOCK_DIAG is 4 (linux/netlink.h).
SPEC = (socket.AF_NETLINK, socket.SOCK_RAW, 4)

# struct nlmsghdr: length, type, flags, sequence, port.
_HEADER = struct.Struct("=IHHII")
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST_DUMP = 0x1 | 0x300
# struct inet_diag_sockid: ports in network order, addresses, interface, cookie.
_SOCKID = "!HH16s16s"
# struct inet_diag_req_v2: family, protocol, extensions, pad, states; then a sockid, all zero: any socket.
_REQUEST = struct.Struct("=BBBBI48x")
# struct inet_diag_msg: family, state, timer, retransmissions; a sockid; expires, queues, uid, inode.
_STATE = struct.Struct("=BBBB")
_IDS = struct.Struct(_SOCKID)
_REST = struct.Struct("=IIIII")
_REST_AT = _STATE.size + 48
_MESSAGE_BYTES = _REST_AT + _REST.size
# net/tcp_states.h
LISTEN = 10
ESTABLISHED = 1


class Found(NamedTuple):
    """One socket: its own address and port, its peer's, its state, its inode (0 for one without a file)."""

    family: int
    state: int
    address: str
    port: int
    peer: str
    peer_port: int
    inode: int


class Answer(NamedTuple):
    """What one packet of a dump holds; `done` where it is the last."""

    sockets: list[Found]
    done: bool


def request(family: int, protocol: int, states: int, sequence: int = 1) -> bytes:
    """Ask for all sockets of a family and protocol whose state is in the set `states`, a bit each."""
    body = _REQUEST.pack(family, protocol, 0, 0, states)
    header = _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, sequence, 0)
    return header + body


def decode(packet: bytes) -> Answer:
    """Read one packet. Raises OSError with the kernel's errno where it refused: ENOENT where it has no
    inet_diag; ValueError for what is no netlink message."""
    found: list[Found] = []
    at = 0
    while at < len(packet):
        if len(packet) - at < _HEADER.size:
            raise ValueError("a netlink message that is cut off")
        length, kind, _, _, _ = _HEADER.unpack_from(packet, at)
        if not _HEADER.size <= length <= len(packet) - at:
            raise ValueError("a netlink message of a wrong length")
        body = packet[at + _HEADER.size : at + length]
        if kind == _NLMSG_DONE:
            return Answer(found, True)
        if kind == _NLMSG_ERROR:
            number = -int.from_bytes(body[:4], "little" if struct.pack("=H", 1)[0] else "big", signed=True)
            raise OSError(number, os.strerror(number))
        if kind == _SOCK_DIAG_BY_FAMILY and len(body) >= _MESSAGE_BYTES:
            found.append(_socket(body))
        at += (length + 3) & ~3
    return Answer(found, False)


def _socket(body: bytes) -> Found:
    family, state, _, _ = _STATE.unpack_from(body)
    port, peer_port, source, target = _IDS.unpack_from(body, _STATE.size)
    inode = _REST.unpack_from(body, _REST_AT)[4]
    return Found(family, state, _text(family, source), port, _text(family, target), peer_port, inode)


def _text(family: int, raw: bytes) -> str:
    if family == socket.AF_INET:
        return str(ipaddress.IPv4Address(raw[:4]))
    return str(ipaddress.IPv6Address(raw))
