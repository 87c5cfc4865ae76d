"""The netlink messages that set a new world's network up. Written by `python -m
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

LINK = (
    Message(
        "ip link add eth0 type veth peer name world",
        bytes.fromhex(
            "80000000100005060100000000000000000000004000000000000000000000000900030065746830000000000a0001000200000000020000480012000900010076657468000000003800020034000100000000004000000000000000000000000a000300776f726c640000000a00010002000000000100000800130001000000"
        ),
        True,
    ),
)

APP = (
    Message(
        "ip link set lo up",
        bytes.fromhex("2000000010000500010000000000000000000000010000000100000001000000"),
        True,
    ),
    Message(
        "ip link set eth0 up",
        bytes.fromhex("2000000010000500020000000000000000000000400000000100000001000000"),
        True,
    ),
    Message(
        "ip addr add 198.19.255.254 dev eth0",
        bytes.fromhex("28000000140005060300000000000000022000004000000008000100c613fffe08000200c613fffe"),
        True,
    ),
    Message(
        "ip neigh add 198.18.0.1 lladdr 02:00:00:00:00:01",
        bytes.fromhex(
            "300000001c000506040000000000000002000000400000008000000008000100c61200010a0002000200000000010000"
        ),
        True,
    ),
    Message(
        "ip route add 198.18.0.1 dev eth0",
        bytes.fromhex(
            "2c00000018000506050000000000000002200000fe04fd010000000008000100c61200010800040040000000"
        ),
        True,
    ),
    Message(
        "ip route add default via 198.18.0.1",
        bytes.fromhex(
            "2c00000018000506060000000000000002000000fe0400010000000008000500c61200010800040040000000"
        ),
        True,
    ),
    Message(
        "ip -6 addr add fd6c:6962:6f73::2 dev eth0 nodad",
        bytes.fromhex(
            "340000001400050607000000000000000a8000004000000014000100fd6c69626f73000000000000000000020800080002000000"
        ),
        False,
    ),
    Message(
        "ip neigh add fd6c:6962:6f73::1 lladdr 02:00:00:00:00:01",
        bytes.fromhex(
            "3c0000001c00050608000000000000000a000000400000008000000014000100fd6c69626f73000000000000000000010a0002000200000000010000"
        ),
        False,
    ),
    Message(
        "ip -6 route add fd6c:6962:6f73::1 dev eth0",
        bytes.fromhex(
            "380000001800050609000000000000000a800000fe0400010000000014000100fd6c69626f73000000000000000000010800040040000000"
        ),
        False,
    ),
    Message(
        "ip -6 route add default via fd6c:6962:6f73::1",
        bytes.fromhex(
            "38000000180005060a000000000000000a000000fe0400010000000014000500fd6c69626f73000000000000000000010800040040000000"
        ),
        False,
    ),
)

GATE = (
    Message(
        "ip link set lo up",
        bytes.fromhex("2000000010000500010000000000000000000000010000000100000001000000"),
        True,
    ),
    Message(
        "ip link set world up",
        bytes.fromhex("2000000010000500020000000000000000000000400000000100000001000000"),
        True,
    ),
    Message(
        "ip route add local default dev lo",
        bytes.fromhex(
            "2c00000018000506030000000000000002000000fe04fe0200000000080004000100000008000f00ff000000"
        ),
        True,
    ),
    Message(
        "ip -6 route add local default dev lo",
        bytes.fromhex(
            "2c0000001800050604000000000000000a000000fe04fe0200000000080004000100000008000f00ff000000"
        ),
        False,
    ),
    Message(
        "ip neigh add 198.19.255.254 lladdr 02:00:00:00:00:02",
        bytes.fromhex(
            "300000001c000506050000000000000002000000400000008000000008000100c613fffe0a0002000200000000020000"
        ),
        True,
    ),
    Message(
        "ip route add 198.19.255.254 dev world table local",
        bytes.fromhex(
            "3400000018000506060000000000000002200000fe04fd010000000008000100c613fffe080004004000000008000f00ff000000"
        ),
        True,
    ),
    Message(
        "ip addr add 198.18.0.1 dev world",
        bytes.fromhex("28000000140005060700000000000000022000004000000008000100c612000108000200c6120001"),
        True,
    ),
    Message(
        "ip -6 addr add fd6c:6962:6f73::1 dev world nodad",
        bytes.fromhex(
            "340000001400050608000000000000000a8000004000000014000100fd6c69626f73000000000000000000010800080002000000"
        ),
        False,
    ),
    Message(
        "ip neigh add fd6c:6962:6f73::2 lladdr 02:00:00:00:00:02",
        bytes.fromhex(
            "3c0000001c00050609000000000000000a000000400000008000000014000100fd6c69626f73000000000000000000020a0002000200000000020000"
        ),
        False,
    ),
    Message(
        "ip -6 route add fd6c:6962:6f73::2 dev world table local",
        bytes.fromhex(
            "40000000180005060a000000000000000a800000fe0400010000000014000100fd6c69626f7300000000000000000002080004004000000008000f00ff000000"
        ),
        False,
    ),
)

DETOUR = (
    Message(
        "ip link add refuse type veth peer name refused",
        bytes.fromhex(
            "6c000000100005060100000000000000000000004100000000000000000000000b000300726566757365000040001200090001007665746800000000300002002c000100000000004200000000000000000000000c00030072656675736564000a0001000200000000030000"
        ),
        True,
    ),
    Message(
        "ip link set refuse address 02:00:00:00:00:03",
        bytes.fromhex(
            "2c000000100005000200000000000000000000004100000081000000000000000a0001000200000000030000"
        ),
        True,
    ),
    Message(
        "ip link set refused up",
        bytes.fromhex("2000000010000500030000000000000000000000420000008100000000000000"),
        True,
    ),
    Message(
        "ip route add default dev refuse table 1001",
        bytes.fromhex(
            "2c00000018000506040000000000000002000000fe0400010000000008000f00e90300000800040041000000"
        ),
        True,
    ),
    Message(
        "ip -6 route add default dev refuse table 1001",
        bytes.fromhex(
            "2c0000001800050605000000000000000a000000fe0400010000000008000f00e90300000800040041000000"
        ),
        False,
    ),
    Message(
        "ip rule add pref 30000 lookup local",
        bytes.fromhex(
            "2c00000020000506060000000000000002000000ff0000010000000008000f00ff0000000800060030750000"
        ),
        True,
    ),
    Message(
        "ip -6 rule add pref 30000 lookup local",
        bytes.fromhex(
            "2c0000002000050607000000000000000a000000ff0000010000000008000f00ff0000000800060030750000"
        ),
        False,
    ),
    Message(
        "ip rule del pref 0 lookup local",
        bytes.fromhex(
            "2c00000021000500080000000000000002000000ff0000010000000008000f00ff0000000800060000000000"
        ),
        True,
    ),
    Message(
        "ip -6 rule del pref 0 lookup local",
        bytes.fromhex(
            "2c0000002100050009000000000000000a000000ff0000010000000008000f00ff0000000800060000000000"
        ),
        False,
    ),
)

LINE = (
    Message(
        "ip link set world address",
        bytes.fromhex(
            "2c000000100005000100000000000000000000004000000000000000000000000a0001000200000000040000"
        ),
        True,
    ),
    Message(
        "ip link add gate type veth peer name wire",
        bytes.fromhex(
            "78000000100005060200000000000000000000004300000000000000000000000900030067617465000000000a000100020000000001000040001200090001007665746800000000300002002c000100000000004400000000000000000000000900030077697265000000000a0001000200000000040000"
        ),
        True,
    ),
    Message(
        "ip link set wire up",
        bytes.fromhex("2000000010000500030000000000000000000000440000000100000001000000"),
        True,
    ),
    Message(
        "ip link set gate up",
        bytes.fromhex("2000000010000500040000000000000000000000430000000100000001000000"),
        True,
    ),
    Message(
        "ip addr del 198.18.0.1 dev world",
        bytes.fromhex("28000000150005000500000000000000022000004000000008000100c612000108000200c6120001"),
        True,
    ),
    Message(
        "ip addr add 198.18.0.1 dev gate",
        bytes.fromhex(
            "300000001400050606000000000000000220000043000000080008000200000008000100c612000108000200c6120001"
        ),
        True,
    ),
    Message(
        "ip neigh add 198.19.255.254 lladdr 02:00:00:00:00:02",
        bytes.fromhex(
            "300000001c000506070000000000000002000000430000008000000008000100c613fffe0a0002000200000000020000"
        ),
        True,
    ),
    Message(
        "ip route del 198.19.255.254 dev world",
        bytes.fromhex(
            "3400000019000500080000000000000002200000fe00fd0000000000080004004000000008000100c613fffe08000f00ff000000"
        ),
        False,
    ),
    Message(
        "ip route add 198.19.255.254 dev gate",
        bytes.fromhex(
            "3400000018000506090000000000000002200000fe04fd0100000000080004004300000008000100c613fffe08000f00ff000000"
        ),
        True,
    ),
    Message(
        "ip addr del fd6c:6962:6f73::1 dev world",
        bytes.fromhex(
            "2c000000150005000a000000000000000a8000004000000014000100fd6c69626f7300000000000000000001"
        ),
        False,
    ),
    Message(
        "ip addr add fd6c:6962:6f73::1 dev gate",
        bytes.fromhex(
            "34000000140005060b000000000000000a80000043000000080008000200000014000100fd6c69626f7300000000000000000001"
        ),
        False,
    ),
    Message(
        "ip neigh add fd6c:6962:6f73::2 lladdr 02:00:00:00:00:02",
        bytes.fromhex(
            "3c0000001c0005060c000000000000000a000000430000008000000014000100fd6c69626f73000000000000000000020a0002000200000000020000"
        ),
        False,
    ),
    Message(
        "ip route del fd6c:6962:6f73::2 dev world",
        bytes.fromhex(
            "40000000190005000d000000000000000a800000fe00000000000000080004004000000014000100fd6c69626f730000000000000000000208000f00ff000000"
        ),
        False,
    ),
    Message(
        "ip route add fd6c:6962:6f73::2 dev gate",
        bytes.fromhex(
            "40000000180005060e000000000000000a800000fe04000100000000080004004300000014000100fd6c69626f730000000000000000000208000f00ff000000"
        ),
        False,
    ),
)
