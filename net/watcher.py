"""Sees what a world was refused: each connection to an address where nothing listens, as the kernel's own
answer.

Rules:
- One packet socket (packet(7)), made inside, on `lo`, and in a routed world one on `eth0`; the kernel's
  filter (bpf.py) passes refusals only, and outgoing packets are not shown to it, so ordinary traffic costs
  next to nothing. It is bound only once the filter is on.
- Refusals are gathered for a moment, so that a program that tries in a loop gives one event with a count,
  and no program can keep the supervisor busy with events. The first one is told at once; the last ones
  when the world ends.
- Closing a packet socket waits for all of the machine's CPUs (synchronize_net(), 8 to 30 ms, paid by whoever
  closes the last copy): a thread does it.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import trio

from libos.net import bpf
from libos.net.naming.names import Names
from libos.net.sockets import Observe, Spec

_ETH_P_ALL = 3  # linux/if_ether.h
_SOL_PACKET, _PACKET_IGNORE_OUTGOING = 263, 23  # linux/socket.h, linux/if_packet.h
_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
# Packets read in one turn, and seconds until the next turn: at most 6,400 refusals a second are looked at.
_TURN = 64
_PAUSE = 0.01
# Turns that empty the socket: its buffer holds about 300 packets (net.core.rmem_default).
_LAST_TURNS = 8

# The interfaces of the app's side on which refusals come in.
FLAT, ROUTED = ("lo",), ("lo", "eth0")


def specs(devices: Sequence[str]) -> list[Spec]:
    """A socket for each interface. No protocol, so that nothing arrives before the filter stands."""
    return [(socket.AF_PACKET, socket.SOCK_DGRAM, 0)] * len(devices)


# In the last two bytes of the word that a kernel leaves zero in these messages (RFC 792; RFC 4443, section
# 3.1): the gate has sent this one, and has told of it already.
OWN_MARK = b"lo"


class Refusal(NamedTuple):
    """What was refused: `network` is tcp or udp, `source_port` the port of the program that asked."""

    network: str
    address: str
    port: int
    source_port: int


def decode(packet: bytes) -> Refusal | None:
    """The refusal that a packet, from its IP header on, tells of; None for one that tells of none, or is the
    gate's own."""
    try:
        return _decode_ipv4(packet) if packet[0] >> 4 == 4 else _decode_ipv6(packet)
    except (IndexError, struct.error):
        return None


def _decode_ipv4(packet: bytes) -> Refusal | None:
    body = 4 * (packet[0] & 15)
    if packet[9] == socket.IPPROTO_TCP:  # the refused one answers: its address is the source
        port, source_port = struct.unpack_from("!HH", packet, body)
        return Refusal("tcp", str(ipaddress.IPv4Address(packet[12:16])), port, source_port)
    if packet[9] == socket.IPPROTO_ICMP and packet[body + 6 : body + 8] != OWN_MARK:
        # It carries the packet that was refused.
        about = packet[body + 8 :]
        source_port, port = struct.unpack_from("!HH", about, 4 * (about[0] & 15))
        return Refusal("udp", str(ipaddress.IPv4Address(about[16:20])), port, source_port)
    return None


def _decode_ipv6(packet: bytes) -> Refusal | None:
    if packet[6] == socket.IPPROTO_TCP:
        port, source_port = struct.unpack_from("!HH", packet, 40)
        return Refusal("tcp", str(ipaddress.IPv6Address(packet[8:24])), port, source_port)
    if packet[6] == socket.IPPROTO_ICMPV6 and packet[46:48] != OWN_MARK:
        about = packet[48:]
        source_port, port = struct.unpack_from("!HH", about, 40)
        return Refusal("udp", str(ipaddress.IPv6Address(about[24:40])), port, source_port)
    return None


class Watcher:
    """Watches one world. `sockets` are those of `specs(devices)`, made inside; the watcher owns them from
    here on.

    The constructor raises OSError where it cannot be made to watch. From then on refusals are kept for `run`.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        names: Names,
        observe: Observe,
        devices: Sequence[str] = FLAT,
    ) -> None:
        self._sockets = tuple(sockets)
        self._names = names
        self._observe = observe
        # Network and local port of the supervisor's own attempts inside, which no program asked for. One
        # refusal of each is not told, and takes the port out.
        self.own_ports: set[tuple[str, int]] = set()
        try:
            for each, device in zip(self._sockets, devices, strict=True):
                each.setblocking(False)
                each.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
                attach_filter(each, bpf.refusals())
                each.bind((device, _ETH_P_ALL))
        except BaseException:
            self.close()
            raise

    async def run(self) -> None:
        """Tell of refusals until cancelled; then tell of those that are still waiting, and close."""
        try:
            async with trio.open_nursery() as nursery:
                for each in self._sockets[1:]:
                    nursery.start_soon(self._run, each)
                await self._run(self._sockets[0])
        finally:
            self.read_all()
            self.close()

    async def _run(self, watching: socket.socket) -> None:
        while True:
            await trio.lowlevel.wait_readable(watching)
            self._read(watching)
            await trio.sleep(_PAUSE)

    def read_all(self) -> None:
        """Tell now of all refusals that are there. Does not wait."""
        for each in self._sockets:
            for _ in range(_LAST_TURNS):
                self._read(each)

    def close(self) -> None:
        """Give the sockets to a thread that closes them, since it takes long and nobody needs to wait for it.

        May be called again.
        """
        descriptors = [each.detach() for each in self._sockets if each.fileno() >= 0]
        if descriptors:
            trio.lowlevel.start_thread_soon(lambda: _close_all(descriptors), lambda _result: None)

    def _read(self, watching: socket.socket) -> None:
        counts: Counter[tuple[str, str, int]] = Counter()
        for _ in range(_TURN):
            try:
                refusal = decode(watching.recv(bpf.KEPT))
            except OSError:  # EAGAIN, or ENETDOWN once lo is taken down
                break
            if refusal is None:
                continue
            own = refusal.network, refusal.source_port
            if own in self.own_ports:
                self.own_ports.discard(own)
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


def _close_all(descriptors: Sequence[int]) -> None:
    for each in descriptors:
        os.close(each)


def attach_filter(watching: socket.socket, program: list[bpf.Instruction]) -> None:
    """setsockopt(SO_ATTACH_FILTER), socket(7); struct sock_fprog points to the program. Raises OSError."""
    code = ctypes.create_string_buffer(bpf.encode(program))
    watching.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code))
    )
