"""Attacks by sockets: families beside the world's network, and what netlink would change."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct

from trying import checked, libc, main, named

_NETLINK_ROUTE, _NETLINK_AUDIT, _NETLINK_NETFILTER, _NETLINK_UEVENT = 0, 9, 12, 15
# NLM_F_REQUEST and NLM_F_ACK; NLM_F_CREATE and NLM_F_EXCL. netlink(7)
_ASK, _CREATE = 5, 0x605


def _opened(family: int, kind: int = socket.SOCK_RAW, protocol: int = 0) -> str:
    with socket.socket(family, kind, protocol) as made:
        return f"a socket of family {made.family}"


def raw_ip() -> object:
    return _opened(socket.AF_INET, socket.SOCK_RAW, 1)


def raw_ip6() -> object:
    return _opened(socket.AF_INET6, socket.SOCK_RAW, 58)


def packets() -> object:
    return _opened(socket.AF_PACKET, socket.SOCK_RAW, 0x0300)


def packets_of_the_link() -> object:
    return _opened(socket.AF_PACKET, socket.SOCK_DGRAM, 0x0300)


def vsock() -> object:
    return _opened(socket.AF_VSOCK, socket.SOCK_STREAM)


def crypto_of_the_kernel() -> object:
    with socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET) as made:
        made.bind(("hash", "sha256"))
        return "AF_ALG"


def express_data_path() -> object:
    return _opened(44)


def rare_families() -> object:
    """AX.25 to MCTP: protocols of old and of radio, loaded as modules when somebody asks."""
    found = []
    for family in (
        3,
        4,
        5,
        6,
        8,
        9,
        11,
        12,
        15,
        19,
        20,
        21,
        23,
        24,
        26,
        29,
        30,
        31,
        33,
        35,
        36,
        39,
        41,
        42,
        43,
        45,
    ):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
            try:
                found.append(_opened(family, kind))
            except OSError as error:
                last = error
    if not found:
        raise last
    return found


def _netlink(protocol: int, kind: int, body: bytes, flags: int = _ASK) -> str:
    """Sends one request and gives the kernel's answer; its refusal is an OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as link:
        link.settimeout(20)
        link.bind((0, 0))
        link.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
        answer = link.recv(8192)
    _, kind, _, _, _ = struct.unpack_from("=IHHII", answer)
    if kind == 2 and (code := -struct.unpack_from("=i", answer, 16)[0]):
        raise OSError(code, os.strerror(code))
    return f"an answer of type {kind}"


def add_a_link() -> object:
    """RTM_NEWLINK of a veth pair."""
    info = struct.pack("=HH4s", 8, 1, b"veth")
    attribute = struct.pack("=HH", 4 + len(info), 18) + info
    return _netlink(_NETLINK_ROUTE, 16, struct.pack("=BBHiII", 0, 0, 0, 0, 0, 0) + attribute, _CREATE)


def add_an_address() -> object:
    body = struct.pack("=BBBBI", socket.AF_INET, 8, 0, 0, 1)
    body += struct.pack("=HH4s", 8, 2, bytes([127, 9, 9, 9])) + struct.pack(
        "=HH4s", 8, 1, bytes([127, 9, 9, 9])
    )
    return _netlink(_NETLINK_ROUTE, 20, body, _CREATE)


def add_a_route() -> object:
    """An unreachable one, which needs no link."""
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, 32, 0, 0, 254, 3, 0, 7, 0)
    return _netlink(_NETLINK_ROUTE, 24, body + struct.pack("=HH4s", 8, 1, bytes([10, 8, 8, 8])), _CREATE)


def take_the_loopback_down() -> object:
    """SIOCSIFFLAGS, netdevice(7)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        fcntl.ioctl(made, 0x8914, struct.pack("16sh22x", b"lo", 0))
    return "lo is down"


def rules_of_the_packet_filter() -> object:
    """NFT_MSG_GETGEN: nf_tables answers whom it would obey."""
    return _netlink(_NETLINK_NETFILTER, 10 << 8 | 16, struct.pack("=BBH", 0, 0, 0))


def rules_of_the_old_packet_filter() -> object:
    """IPT_SO_GET_INFO (CVE-2021-22555 stands behind its neighbour, IPT_SO_SET_REPLACE)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        info, size = ctypes.create_string_buffer(b"filter", 84), ctypes.c_int(84)
        return checked(libc.getsockopt(made.fileno(), 0, 64, info, ctypes.byref(size)), "getsockopt")


def audit_records() -> object:
    """The multicast group of all audit records."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_AUDIT) as link:
        link.bind((0, 1))
        return "listening to the audit"


def forged_device_events() -> object:
    """A message that udev would take for the kernel's."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_UEVENT) as link:
        return link.sendto(b"add@/devices/x\0ACTION=add\0", (0, 1))


def mark_packets() -> object:
    """SO_MARK: routes and rules of the host may go by it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.setsockopt(socket.SOL_SOCKET, 36, 1)
    return "marked"


def force_a_buffer() -> object:
    """SO_RCVBUFFORCE: memory of the kernel beyond every limit."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.setsockopt(socket.SOL_SOCKET, 33, 1 << 30)
    return "a gigabyte"


def forged_credentials() -> object:
    """SCM_CREDENTIALS with the uid and pid of somebody else."""
    one, _ = socket.socketpair()
    wanted = struct.pack("=iII", 1, 0, 0)
    return one.sendmsg([b"x"], [(socket.SOL_SOCKET, 2, wanted)])


ATTACKS = named(globals(), __name__)

if __name__ == "__main__":
    main(ATTACKS)
