"""Sees what a world was refused: each connection to an address where nothing listens, as the kernel's own
answer.

Rules:
- Two packet sockets (packet(7)), made inside, on `lo`, for IPv4 and IPv6; the kernel's filter (bpf.py) passes
  refusals only, so ordinary traffic costs nothing here. They are bound only once the filter is on.
- Refusals are gathered for a moment, so that a program that tries in a loop gives one event with a count,
  and no program can keep the supervisor busy with events. The first one is told at once; the last ones
  when the world ends.
- Closing a bound packet socket waits for all of the machine's CPUs (synchronize_net(), 8 to 21 ms): a
  thread does it.
"""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct
from collections import Counter
from typing import NamedTuple

import trio

from libos.net import bpf
from libos.net.names import Names
from libos.net.sockets import Observe, Spec

_ETH_P_IP = 0x0800  # linux/if_ether.h
_ETH_P_IPV6 = 0x86DD
_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
# Packets read in one turn, and seconds until the next turn: at most 6,400 refusals a second are looked at.
_TURN = 64
_PAUSE = 0.01

# No protocol, so that nothing arrives before the filter stands.
SPECS: list[Spec] = [(socket.AF_PACKET, socket.SOCK_DGRAM, 0), (socket.AF_PACKET, socket.SOCK_DGRAM, 0)]


class Refusal(NamedTuple):
    """What was refused: `network` is tcp or udp, `source_port` the port of the program that asked."""

    network: str
    address: str
    port: int
    source_port: int


def decode(packet: bytes) -> Refusal | None:
    """The refusal that a packet, from its IP header on, tells of; None for one that tells of none."""
    try:
        return _decode_ipv4(packet) if packet[0] >> 4 == 4 else _decode_ipv6(packet)
    except (IndexError, struct.error):
        return None


def _decode_ipv4(packet: bytes) -> Refusal | None:
    body = 4 * (packet[0] & 15)
    if packet[9] == socket.IPPROTO_TCP:  # the refused one answers: its address is the source
        port, source_port = struct.unpack_from("!HH", packet, body)
        return Refusal("tcp", str(ipaddress.IPv4Address(packet[12:16])), port, source_port)
    if packet[9] == socket.IPPROTO_ICMP:  # it carries the packet that was refused
        about = packet[body + 8 :]
        source_port, port = struct.unpack_from("!HH", about, 4 * (about[0] & 15))
        return Refusal("udp", str(ipaddress.IPv4Address(about[16:20])), port, source_port)
    return None


def _decode_ipv6(packet: bytes) -> Refusal | None:
    if packet[6] == socket.IPPROTO_TCP:
        port, source_port = struct.unpack_from("!HH", packet, 40)
        return Refusal("tcp", str(ipaddress.IPv6Address(packet[8:24])), port, source_port)
    if packet[6] == socket.IPPROTO_ICMPV6:
        about = packet[48:]
        source_port, port = struct.unpack_from("!HH", about, 40)
        return Refusal("udp", str(ipaddress.IPv6Address(about[24:40])), port, source_port)
    return None


class Watcher:
    """Watches one world. `sockets` are those of SPECS, made inside; the watcher owns them from here on."""

    def __init__(self, sockets: list[socket.socket], names: Names, observe: Observe) -> None:
        self._sockets = sockets
        self._names = names
        self._observe = observe
        # Local TCP ports of the supervisor's own attempts inside, which no program asked for. One refusal
        # each is not told, and takes its port out; an attempt that succeeds takes it out itself.
        self.own_ports: set[int] = set()
        try:
            for watching, protocol, program in (
                (sockets[0], _ETH_P_IP, bpf.ipv4_refusals()),
                (sockets[1], _ETH_P_IPV6, bpf.ipv6_refusals()),
            ):
                watching.setblocking(False)
                attach_filter(watching, program)
                watching.bind(("lo", protocol))
        except BaseException:
            self.close()
            raise

    async def run(self) -> None:
        """Tell of refusals until cancelled; then tell of those that are still waiting, and close."""
        try:
            async with trio.open_nursery() as nursery:
                for watching in self._sockets:
                    nursery.start_soon(self._watch, watching)
        finally:
            for watching in self._sockets:
                self._read(watching)
            self.close()

    def close(self) -> None:
        """Give the sockets to a thread that closes them: it takes long, and nobody needs to wait for it."""
        sockets, self._sockets = self._sockets, []
        if sockets:
            trio.lowlevel.start_thread_soon(lambda: _close_all(sockets), lambda _result: None)

    async def _watch(self, watching: socket.socket) -> None:
        while True:
            await trio.lowlevel.wait_readable(watching)
            self._read(watching)
            await trio.sleep(_PAUSE)

    def _read(self, watching: socket.socket) -> None:
        counts: Counter[tuple[str, str, int]] = Counter()
        for _ in range(_TURN):
            try:
                refusal = decode(watching.recv(bpf.KEPT))
            except OSError:  # EAGAIN, or ENETDOWN once lo is taken down
                break
            if refusal is None:
                continue
            if refusal.network == "tcp" and refusal.source_port in self.own_ports:
                self.own_ports.discard(refusal.source_port)
                continue
            counts[refusal.network, refusal.address, refusal.port] += 1
        for (network, address, port), count in counts.items():
            name = self._names.name_of(ipaddress.ip_address(address))
            fields: dict[str, object] = {
                "network": network,
                "address": address,
                "name": name,
                "port": port,
                "count": count,
            }
            self._observe("dial.refused", fields)


def _close_all(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()


def attach_filter(watching: socket.socket, program: list[bpf.Instruction]) -> None:
    """setsockopt(SO_ATTACH_FILTER), socket(7); struct sock_fprog points to the program. Raises OSError."""
    code = ctypes.create_string_buffer(bpf.encode(program))
    watching.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code))
    )
