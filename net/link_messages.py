"""The netlink messages that set a new world's network up. Written by `python -m
libos.net.link`: do not edit.

Stdlib only and data only: init sends these bytes on an AF_NETLINK socket (NETLINK_ROUTE, netlink(7)) in
the order of `MESSAGES` and reads one acknowledgement each (NLMSG_ERROR with error 0 and the same sequence
number).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """One message: what it does, its bytes, and whether a world needs it (a kernel may lack IPv6)."""

    purpose: str
    data: bytes
    required: bool


MESSAGES = (
    Message(
        "ip link set lo up",
        bytes.fromhex("2000000010000500010000000000000000000000010000000100000001000000"),
        True,
    ),
    Message(
        "ip route add local default dev lo",
        bytes.fromhex(
            "2c00000018000506020000000000000002000000fe04fe0200000000080004000100000008000f00ff000000"
        ),
        True,
    ),
    Message(
        "ip -6 route add local default dev lo",
        bytes.fromhex(
            "2c0000001800050603000000000000000a000000fe04fe0200000000080004000100000008000f00ff000000"
        ),
        False,
    ),
)
