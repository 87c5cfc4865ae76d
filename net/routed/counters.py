"""What the link of a routed world has carried, seen from the app."""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass

from libos.net.routed import netlink
from libos.net.routed.sides import GATE, Sides

# The gate's end of the link: `libos.net.link`, ETH0.
_WORLD = 64
# linux/rtnetlink.h, linux/netlink.h
_GETLINK, _REQUEST = 18, 1
_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, change
_STATS64 = 23  # IFLA_STATS64
# struct rtnl_link_stats64 begins with packets, bytes, errors and drops, each received and then sent.
_STATS = struct.Struct("=8Q")


@dataclass(frozen=True)
class Counters:
    """Packets and bytes, with Ethernet headers, that the app has sent and received, and what of them was
    dropped at the gate's end."""

    sent_bytes: int
    sent_packets: int
    received_bytes: int
    received_packets: int
    dropped: int


async def read(sides: Sides) -> Counters | None:
    """The counters as they are now; None in a flat world, which has no link. Raises OSError (EPIPE where the
    world has ended)."""
    if not sides.routed:
        return None
    (made,) = await sides.open([(GATE, netlink.SPEC)])
    with made:
        body = _LINK.pack(0, 0, _WORLD, 0, 0)
        made.send(_HEADER.pack(_HEADER.size + len(body), _GETLINK, _REQUEST, 1, 0) + body)
        return parse(made.recv(65_536))


def parse(answer: bytes) -> Counters:
    """The counters in the kernel's answer. Raises OSError: what it says in their place, or EBADMSG."""
    bad = OSError(errno.EBADMSG, os.strerror(errno.EBADMSG))
    if len(answer) < _HEADER.size + 4:
        raise bad
    _, kind, _, _, _ = _HEADER.unpack_from(answer)
    if kind == netlink.ERROR:
        number = -struct.unpack_from("=i", answer, _HEADER.size)[0]
        raise OSError(number, os.strerror(number))
    at = _HEADER.size + _LINK.size
    while at + 4 <= len(answer):
        length, attribute = struct.unpack_from("=HH", answer, at)
        if attribute == _STATS64 and min(length, len(answer) - at) >= 4 + _STATS.size:
            got, put, got_bytes, put_bytes, _, _, *dropped = _STATS.unpack_from(answer, at + 4)
            return Counters(got_bytes, got, put_bytes, put, sum(dropped))
        if length < 4:
            break
        at += (length + 3) & ~3
    raise bad
