"""Messages of rtnetlink(7) that are not known ahead, encoded by hand, and how they are sent.

Rules:
- A netlink socket acts in the network namespace where it was made; the supervisor has the rights of K there,
  which it started.
- The kernel has done a request, and answered it, when send(2) returns: nothing here waits.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from libos.net.granting.target import Range
from libos.net.sockets import Spec

SPEC: Spec = (socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)

# linux/netlink.h: a request that wants an answer; one that makes something that must not be there.
_REQUEST_ACK = 0x1 | 0x4
_CREATE = 0x400 | 0x200
ERROR = 2
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
# linux/rtnetlink.h
_NEWRULE, _DELRULE = 32, 33
# struct fib_rule_hdr: family, dst_len, src_len, tos, table, two reserved, action; then flags.
_RULE = struct.Struct("=8BI")
_TO_TABLE = 1  # FR_ACT_TO_TBL
# linux/fib_rules.h
_DST, _IIFNAME, _PRIORITY, _TABLE, _PROTOCOL, _PORTS = 1, 3, 6, 15, 22, 24
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
# linux/rtnetlink.h: the kernel's own table of what is local.
LOCAL = 255
# Bytes of requests that are sent at once: well below what a socket may hold of their answers.
_BATCH = 8192


@dataclass(frozen=True)
class FibRule:
    """What comes in by `device` for `to` (None: any address) at `ports` looks its way up in `table`."""

    device: str
    family: int
    network: str
    to: Range | None
    ports: tuple[int, int]
    table: int


def add_rule(rule: FibRule, priority: int) -> bytes:
    """ip rule add pref PRIORITY iif DEVICE to RANGE ipproto NETWORK dport PORTS lookup TABLE."""
    return _message(_NEWRULE, _REQUEST_ACK | _CREATE, _rule(rule, priority))


def delete_rule(rule: FibRule, priority: int) -> bytes:
    """The same rule taken back."""
    return _message(_DELRULE, _REQUEST_ACK, _rule(rule, priority))


def _rule(rule: FibRule, priority: int) -> bytes:
    length = 0 if rule.to is None else rule.to.prefixlen
    # A table above 255 stands in an attribute alone; RT_TABLE_UNSPEC is 0.
    small = rule.table if rule.table < 256 else 0
    body = _RULE.pack(rule.family, length, 0, 0, small, 0, 0, _TO_TABLE, 0)
    body += _attribute(_IIFNAME, rule.device.encode() + b"\0")
    if rule.to is not None and length:
        body += _attribute(_DST, rule.to.network_address.packed)
    body += _attribute(_PRIORITY, struct.pack("=I", priority))
    body += _attribute(_PROTOCOL, bytes([_PROTOCOLS[rule.network]]))
    body += _attribute(_PORTS, struct.pack("=HH", *rule.ports))
    return body + _attribute(_TABLE, struct.pack("=I", rule.table))


def _attribute(kind: int, data: bytes) -> bytes:
    """struct rtattr, its length without the padding to four bytes."""
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, 1, 0) + body


def send(netlink: socket.socket, messages: Iterable[tuple[str, bytes, bool]]) -> None:
    """Do what messages (purpose, bytes, required) say, in order. Raises OSError, with the purpose of the
    first required one that failed; the others of its batch were done."""
    batch: list[tuple[str, bytes, bool]] = []
    size = 0
    for message in messages:
        batch.append(message)
        size += len(message[1])
        if size >= _BATCH:
            _send(netlink, batch)
            batch, size = [], 0
    if batch:
        _send(netlink, batch)


def _send(netlink: socket.socket, batch: Sequence[tuple[str, bytes, bool]]) -> None:
    netlink.send(b"".join(data for _, data, _ in batch))
    answers: list[int] = []
    while len(answers) < len(batch):
        answers += _errors(netlink.recv(65_536))
    if len(answers) != len(batch):
        raise _bad()
    for (purpose, _, required), number in zip(batch, answers, strict=True):
        if number and required:
            raise OSError(number, f"{purpose}: {os.strerror(number)}")


def _errors(data: bytes) -> list[int]:
    """The errno of each acknowledgement in a buffer; 0 is success. Raises OSError (EBADMSG)."""
    if len(data) < _HEADER.size:
        raise _bad()
    found = []
    while len(data) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(data)
        if length < _HEADER.size + (4 if kind == ERROR else 0) or length > len(data):
            raise _bad()
        if kind == ERROR:
            found.append(-struct.unpack_from("=i", data, _HEADER.size)[0])
        data = data[(length + 3) & ~3 :]
    return found


def _bad() -> OSError:
    return OSError(errno.EBADMSG, os.strerror(errno.EBADMSG))
