"""Generates `link_messages.py`: the netlink messages that set a new world's network up, encoded by pyroute2.

Rules:
- This module alone imports pyroute2, and nothing imports this module at run time: pyroute2 takes longer to
  import than a world takes to start. `python -m libos.net.link` writes the bytes down; a test compares
  them with what pyroute2 encodes today.
- Each message asks for an acknowledgement and carries its own sequence number, counted from 1.
"""

from __future__ import annotations

import os
import sys
from socket import AF_INET, AF_INET6

from pyroute2 import IPBatch

# The loopback interface is the first one of each network namespace: kernel, LOOPBACK_IFINDEX.
_LO = 1
# The table that is looked at first: ip-rule(8), RT_TABLE_LOCAL.
_LOCAL = 255
_ROUTE = {"type": "local", "scope": "host", "dst": "default", "oif": _LO, "table": _LOCAL}

_HEAD = '''"""The netlink messages that set a new world's network up. Written by `python -m
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
'''


def encode() -> list[tuple[str, bytes, bool]]:
    """Each message of a new world as (purpose, bytes, required)."""
    return [
        ("ip link set lo up", _encode(1, "link", "set", index=_LO, state="up"), True),
        ("ip route add local default dev lo", _encode(2, "route", "add", family=AF_INET, **_ROUTE), True),
        (
            "ip -6 route add local default dev lo",
            _encode(3, "route", "add", family=AF_INET6, **_ROUTE),
            False,
        ),
    ]


def source() -> str:
    """The text of link_messages.py."""
    lines = []
    for purpose, data, required in encode():
        call = f'        bytes.fromhex("{data.hex()}"),\n'
        if len(call) > 111:  # as ruff formats it
            call = f'        bytes.fromhex(\n            "{data.hex()}"\n        ),\n'
        lines.append(f'    Message(\n        "{purpose}",\n{call}        {required},\n    ),\n')
    return _HEAD + "".join(lines) + ")\n"


def _encode(sequence: int, kind: str, command: str, **fields: object) -> bytes:
    batch = IPBatch()
    try:
        getattr(batch, kind)(command, **fields)
        message = bytearray(batch.batch)
    finally:
        batch.close()
    message[8:12] = sequence.to_bytes(
        4, sys.byteorder
    )  # struct nlmsghdr: length, type and flags, then nlmsg_seq
    message[12:16] = bytes(4)  # nlmsg_pid: 0, the kernel fills in the sender's
    return bytes(message)


def main() -> None:
    """Write link_messages.py beside this file."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "link_messages.py")
    with open(path, "w", encoding="ascii") as file:
        file.write(source())


if __name__ == "__main__":
    main()
