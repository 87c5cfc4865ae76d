"""Generates `link_messages.py`: the netlink messages that set a new world's network up, encoded by pyroute2.

A flat world is one namespace where every address is local. A routed world has two: the app's, with a loopback
as a machine has it and the interface eth0, and the gate's, where every address is local and eth0 ends.

Rules:
- This module alone imports pyroute2, and at run time nothing imports it but a link that is shaped
  (`libos.net.routed.shaping`): pyroute2 takes longer to import than a world takes to start. `python -m
  libos.net.link` writes the bytes down; a test compares them with what pyroute2 encodes today.
- Each message asks for an acknowledgement and carries its own sequence number, counted from 1.
- Both ends of a routed world's link know each other's hardware address, so nobody asks for it (ARP, neighbour
  discovery): the first packet takes as long as the others, and a capture shows the app's own alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from socket import AF_INET, AF_INET6
from typing import TypeAlias

from pyroute2 import IPBatch

# The loopback interface is the first one of each network namespace: kernel, LOOPBACK_IFINDEX.
_LO = 1
# The table that is looked at first: ip-rule(8), RT_TABLE_LOCAL.
_LOCAL = 255
# The interfaces of a routed world: their number is chosen, since modules may bring interfaces of their own.
ETH0 = 64
_EVERYWHERE = {"type": "local", "scope": "host", "dst": "default", "oif": _LO, "table": _LOCAL}

# Hardware addresses: locally administered, unicast (IEEE 802, bit 0x02 of the first octet).
_APP_MAC, _GATE_MAC = "02:00:00:00:00:02", "02:00:00:00:00:01"
# The app's addresses: the last one of the names' network, which no name gets, and a unique local one (RFC
# 4193). The gate's are the responder's and its neighbour.
_APP4, _GATE4 = "198.19.255.254", "198.18.0.1"
_APP6, _GATE6 = "fd6c:6962:6f73::2", "fd6c:6962:6f73::1"
# What is refused of a range, on the gate's side: two interfaces and the table that leads there.
REFUSE, REFUSED, DETOUR = 65, 66, 1001
_DETOUR_MAC = "02:00:00:00:00:03"
# Where packets are delayed by hand: the gate's own end, and the other end of that pair.
GATE, WIRE = 67, 68
_UNHEARD = "02:00:00:00:00:04"
_IFF_UP, _IFF_NOARP = 0x1, 0x80  # linux/if.h
# linux/if_addr.h: usable at once, without asking whether somebody else has it.
_NODAD = 2

_HEAD = '''"""The netlink messages that set a new world's network up. Written by `python -m
libos.net.link`: do not edit.

Stdlib only and data only: init sends these bytes on an AF_NETLINK socket (NETLINK_ROUTE, netlink(7)) in
the order of `MESSAGES` and reads one acknowledgement each (NLMSG_ERROR with error 0 and the same sequence
number). In a routed world these are `LINK` and `APP`, on a socket of the app's namespace, and `GATE`, on one
of the gate's; the process that sends `LINK` is process 1 and stands in the gate's. `DETOUR` is sent on a
socket of the gate's once a range of addresses is granted, `LINE` where packets are to be delayed by hand.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """One message: what it does, its bytes, and whether a world needs it (a kernel may lack IPv6)."""

    purpose: str
    data: bytes
    required: bool


'''

Encoded: TypeAlias = tuple[str, bytes, bool]


def encode() -> list[Encoded]:
    """Each message of a flat world as (purpose, bytes, required)."""
    return _numbered([_lo_up(), *_every_address_is_local()])


def encode_link() -> list[Encoded]:
    """Of a routed world: the link, made from the app's side, the other end in the namespace of process 1."""
    peer = {"ifname": "world", "address": _GATE_MAC, "net_ns_pid": 1}
    data = _pair(ETH0, {"ifname": "eth0", "address": _APP_MAC}, ETH0, peer)
    return _numbered([("ip link add eth0 type veth peer name world", data, True)])


def encode_app() -> list[Encoded]:
    """Of a routed world, on the app's side: the loopback, eth0 and the way out."""
    own4 = {"index": ETH0, "address": _APP4, "prefixlen": 32}
    own6 = {"index": ETH0, "address": _APP6, "prefixlen": 128, "family": AF_INET6, "flags": _NODAD}
    gate4 = {"dst": f"{_GATE4}/32", "oif": ETH0, "scope": "link"}
    gate6 = {"dst": f"{_GATE6}/128", "oif": ETH0}
    return _numbered(
        [
            _lo_up(),
            ("ip link set eth0 up", _message("link", "set", index=ETH0, state="up"), True),
            (f"ip addr add {_APP4} dev eth0", _message("addr", "add", **own4), True),
            _neighbour(AF_INET, _GATE4, _GATE_MAC, required=True),
            _route(AF_INET, f"ip route add {_GATE4} dev eth0", required=True, **gate4),
            _route(AF_INET, f"ip route add default via {_GATE4}", required=True, **_by(_GATE4)),
            (f"ip -6 addr add {_APP6} dev eth0 nodad", _message("addr", "add", **own6), False),
            _neighbour(AF_INET6, _GATE6, _GATE_MAC, required=False),
            _route(AF_INET6, f"ip -6 route add {_GATE6} dev eth0", required=False, **gate6),
            _route(AF_INET6, f"ip -6 route add default via {_GATE6}", required=False, **_by(_GATE6)),
        ]
    )


def encode_gate() -> list[Encoded]:
    """Of a routed world, on the gate's side: every address is local, but for the app's, behind `world`."""
    own4 = {"index": ETH0, "address": _GATE4, "prefixlen": 32}
    own6 = {"index": ETH0, "address": _GATE6, "prefixlen": 128, "family": AF_INET6, "flags": _NODAD}
    app4 = {"dst": f"{_APP4}/32", "oif": ETH0, "scope": "link", "table": _LOCAL}
    app6 = {"dst": f"{_APP6}/128", "oif": ETH0, "table": _LOCAL}
    return _numbered(
        [
            _lo_up(),
            ("ip link set world up", _message("link", "set", index=ETH0, state="up"), True),
            *_every_address_is_local(),
            _neighbour(AF_INET, _APP4, _APP_MAC, required=True),
            _route(AF_INET, f"ip route add {_APP4} dev world table local", required=True, **app4),
            # What is told about refused datagrams comes from these addresses.
            (f"ip addr add {_GATE4} dev world", _message("addr", "add", **own4), True),
            (f"ip -6 addr add {_GATE6} dev world nodad", _message("addr", "add", **own6), False),
            _neighbour(AF_INET6, _APP6, _APP_MAC, required=False),
            _route(AF_INET6, f"ip -6 route add {_APP6} dev world table local", required=False, **app6),
        ]
    )


def encode_detour() -> list[Encoded]:
    """On the gate's side, once a range is granted: the way on which its listeners, which stand at `world`,
    are not found. What is refused goes out at `refuse` and comes in at `refused`. Both have one hardware
    address, and nobody asks for it. From here on, rules can stand before the one that makes every address
    local."""
    pair = _pair(REFUSE, {"ifname": "refuse"}, REFUSED, {"ifname": "refused", "address": _DETOUR_MAC})
    return _numbered(
        [
            ("ip link add refuse type veth peer name refused", pair, True),
            (f"ip link set refuse address {_DETOUR_MAC}", _up(REFUSE, address=_DETOUR_MAC), True),
            ("ip link set refused up", _up(REFUSED), True),
            *_for_both(f"route add default dev refuse table {DETOUR}", "route", dst="default", oif=REFUSE),
            *_for_both("rule add pref 30000 lookup local", "rule", priority=30_000),
            *_for_both("rule del pref 0 lookup local", "rule", "del", priority=0),
        ]
    )


def encode_line() -> list[Encoded]:
    """On the gate's side, where packets are delayed by hand: the gate's end becomes `gate`, and between it
    and the link nothing carries packets but what reads them at `world` and at `wire`. These two have an
    address to which nobody sends, so the kernel takes nothing that comes in there for its own."""
    pair = _pair(
        GATE, {"ifname": "gate", "address": _GATE_MAC}, WIRE, {"ifname": "wire", "address": _UNHEARD}
    )
    steps: list[Encoded] = [
        ("ip link set world address", _message("link", "set", index=ETH0, address=_UNHEARD), True),
        ("ip link add gate type veth peer name wire", pair, True),
        ("ip link set wire up", _message("link", "set", index=WIRE, state="up"), True),
        ("ip link set gate up", _message("link", "set", index=GATE, state="up"), True),
    ]
    for family, own, bits, app, required in (
        (AF_INET, _GATE4, 32, _APP4, True),
        (AF_INET6, _GATE6, 128, _APP6, False),
    ):
        address = {"address": own, "prefixlen": bits, "family": family}
        route = {"dst": f"{app}/{bits}", "table": _LOCAL, "family": family}
        if family == AF_INET:
            route["scope"] = "link"
        steps += [
            (f"ip addr del {own} dev world", _message("addr", "del", index=ETH0, **address), required),
            (
                f"ip addr add {own} dev gate",
                _message("addr", "add", index=GATE, flags=_NODAD, **address),
                required,
            ),
            _neighbour(family, app, _APP_MAC, required=required, ifindex=GATE),
            (f"ip route del {app} dev world", _message("route", "del", oif=ETH0, **route), False),
            (f"ip route add {app} dev gate", _message("route", "add", oif=GATE, **route), required),
        ]
    return _numbered(steps)


def tbf(index: int, parent: int, *, rate: int, burst: int, limit: int) -> Encoded:
    """tc qdisc add dev INDEX parent PARENT tbf; `rate` in bytes a second. tc-tbf(8)."""
    fields = {"kind": "tbf", "index": index, "handle": 0x10_0000, "parent": parent}
    return ("tc qdisc add tbf", _message("tc", "add", rate=rate, burst=burst, limit=limit, **fields), True)


def packet_size(index: int, largest: int) -> Encoded:
    """ip link set dev INDEX gso_max_size LARGEST: what TCP hands down at once, to be cut later."""
    return ("ip link set gso_max_size", _message("link", "set", index=index, gso_max_size=largest), True)


def netem(index: int, *, delay: float, jitter: float, loss: float, limit: int) -> Encoded:
    """tc qdisc add dev INDEX root handle 1: netem; times in seconds, `loss` a share. tc-netem(8)."""
    times = {"delay": round(delay * 1e6), "jitter": round(jitter * 1e6)}
    fields = {"kind": "netem", "index": index, "handle": 0x1_0000, "loss": loss * 100, "limit": limit}
    return ("tc qdisc add netem", _message("tc", "add", **times, **fields), True)


def source() -> str:
    """The text of link_messages.py."""
    parts = [
        ("MESSAGES", encode()),
        ("LINK", encode_link()),
        ("APP", encode_app()),
        ("GATE", encode_gate()),
        ("DETOUR", encode_detour()),
        ("LINE", encode_line()),
    ]
    return _HEAD + "\n".join(_tuple_text(name, messages) for name, messages in parts)


def _tuple_text(name: str, messages: Iterable[Encoded]) -> str:
    lines = [f"{name} = (\n"]
    for purpose, data, required in messages:
        call = f'        bytes.fromhex("{data.hex()}"),\n'
        if len(call) > 111:  # as ruff formats it
            call = f'        bytes.fromhex(\n            "{data.hex()}"\n        ),\n'
        lines.append(f'    Message(\n        "{purpose}",\n{call}        {required},\n    ),\n')
    return "".join(lines) + ")\n"


def _pair(index: int, end: dict[str, object], peer_index: int, peer: dict[str, object]) -> bytes:
    """A veth pair. pyroute2 leaves out the peer's index: of struct ifinfomsg, behind the headers of
    IFLA_INFO_DATA and VETH_INFO_PEER, the second word."""
    data = bytearray(_message("link", "add", index=index, kind="veth", peer=peer, **end))
    at = data.index(b"veth\0\0\0\0") + 8 + 4 + 4 + 4
    data[at : at + 4] = peer_index.to_bytes(4, sys.byteorder)
    return bytes(data)


def _up(index: int, **fields: object) -> bytes:
    """Up, and nobody is asked for addresses there."""
    return _message("link", "set", index=index, flags=_IFF_UP | _IFF_NOARP, **fields)


def _for_both(purpose: str, subject: str, command: str = "add", **fields: object) -> list[Encoded]:
    table = {"table": DETOUR if subject == "route" else _LOCAL}
    return [
        (f"ip {purpose}", _message(subject, command, family=AF_INET, **table, **fields), True),
        (f"ip -6 {purpose}", _message(subject, command, family=AF_INET6, **table, **fields), False),
    ]


def _lo_up() -> Encoded:
    return ("ip link set lo up", _message("link", "set", index=_LO, state="up"), True)


def _every_address_is_local() -> list[Encoded]:
    return [
        _route(AF_INET, "ip route add local default dev lo", required=True, **_EVERYWHERE),
        _route(AF_INET6, "ip -6 route add local default dev lo", required=False, **_EVERYWHERE),
    ]


def _by(gateway: str) -> dict[str, object]:
    return {"dst": "default", "gateway": gateway, "oif": ETH0}


def _route(family: int, purpose: str, *, required: bool, **fields: object) -> Encoded:
    return (purpose, _message("route", "add", family=family, **fields), required)


def _neighbour(family: int, address: str, mac: str, *, required: bool, ifindex: int = ETH0) -> Encoded:
    fields = {"family": family, "dst": address, "lladdr": mac, "ifindex": ifindex, "state": "permanent"}
    return (f"ip neigh add {address} lladdr {mac}", _message("neigh", "add", **fields), required)


def _numbered(messages: Iterable[Encoded]) -> list[Encoded]:
    """With a sequence number each: struct nlmsghdr is length, type and flags, then nlmsg_seq, nlmsg_pid."""
    return [
        (purpose, data[:8] + number.to_bytes(4, sys.byteorder) + bytes(4) + data[16:], required)
        for number, (purpose, data, required) in enumerate(messages, 1)
    ]


def _message(subject: str, command: str, **fields: object) -> bytes:
    batch = IPBatch()
    try:
        getattr(batch, subject)(command, **fields)
        return bytes(batch.batch)
    finally:
        batch.close()


def main() -> None:
    """Write link_messages.py beside this file."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "link_messages.py")
    with open(path, "w", encoding="ascii") as file:
        file.write(source())


if __name__ == "__main__":
    main()
