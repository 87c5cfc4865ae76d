"""Delays packets by hand, where the kernel has no netem: a line between the link and the gate's end of it.

Rules:
- Packets are read at one end as the link carries them and written at the other when their time has come, in
  the order in which they came. Programs and their kernel see a link that is long: connecting takes a round
  trip, datagrams and name look-ups too.
- What is on its way is bounded: by what the rate lets through in that time, else by 64 MiB. Beyond that,
  packets are dropped, as a router does.
- The time of a packet counts from when the kernel got it, however late it is read here. It may leave half a
  millisecond early or late: the scheduler's clock has steps of one.
"""

from __future__ import annotations

import random
import socket
import struct
import time
from collections import deque
from collections.abc import Callable

import trio

from libos.net.routed.shape import FRAME, Shape
from libos.net.sockets import Spec

SPEC: Spec = (socket.AF_PACKET, socket.SOCK_RAW, 0)
_ETH_P_ALL = 3  # linux/if_ether.h
# linux/socket.h, linux/if_packet.h
_SOL_PACKET, _VNET_HDR, _IGNORE_OUTGOING = 263, 15, 23
_TIMESTAMPNS = 35  # asm-generic/socket.h: struct timespec with each packet, of CLOCK_REALTIME
_TIMESPEC = struct.Struct("@ll")
_ANCILLARY = socket.CMSG_SPACE(_TIMESPEC.size)
# A packet of 64 KiB that the kernel has not cut yet (GSO), its headers, and struct virtio_net_hdr before it.
_LARGEST = 10 + 65_536 + 128
# Bytes that a socket keeps until they are read; the kernel grants what net.core.rmem_max allows.
_RECEIVED = 8 * 1024 * 1024
_MOST_WAITING = 64 * 1024 * 1024
# Packets read before other tasks run.
_TURN = 64
_STEP = 0.0005


class Way:
    """One way of a line: when each packet leaves. `rate` is None where the kernel holds it. Sync."""

    def __init__(
        self, shape: Shape, rate: int | None, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._shape = shape
        self._rate = rate
        self._uniform = uniform
        self._free_at = 0.0
        self._last = 0.0
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._bytes = 0
        if shape.rate is None:
            self._most = _MOST_WAITING
        else:
            flying = int(shape.rate * (shape.delay + shape.jitter))
            self._most = min(_MOST_WAITING, shape.queue + flying + 10 * FRAME)
        self.dropped = 0

    def put(self, packet: bytes, now: float) -> None:
        """Take a packet that has arrived at one end, or drop it."""
        if self._bytes + len(packet) > self._most and self._waiting:
            self.dropped += 1
            return
        if self._rate is not None:
            self._free_at = max(self._free_at, now) + len(packet) / self._rate
        delay = self._shape.delay
        if self._shape.jitter:
            delay += self._uniform(-self._shape.jitter, self._shape.jitter)
        self._last = max(self._last, max(now, self._free_at) + delay)  # none overtakes another
        self._waiting.append((self._last, packet))
        self._bytes += len(packet)

    def due(self) -> float | None:
        """When the next packet leaves; None where there is none."""
        return self._waiting[0][0] if self._waiting else None

    def take(self, now: float) -> bytes | None:
        """The next packet, where its time has come."""
        if not self._waiting or self._waiting[0][0] > now + _STEP:
            return None
        packet = self._waiting.popleft()[1]
        self._bytes -= len(packet)
        return packet


class Line:
    """A line between two interfaces. `ends` are sockets of SPEC, made on the gate's side; it owns them."""

    def __init__(self, ends: tuple[socket.socket, socket.socket], shape: Shape, rate: int | None) -> None:
        self._ends = ends
        self._ways = Way(shape, rate), Way(shape, rate)
        try:
            for end, device in zip(ends, ("world", "wire"), strict=True):
                end.setblocking(False)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVED)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _RECEIVED)
                end.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
                end.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
                end.setsockopt(_SOL_PACKET, _VNET_HDR, 1)
                end.bind((device, _ETH_P_ALL))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close its ends. May be called again."""
        for end in self._ends:
            end.close()

    @property
    def dropped(self) -> int:
        """Packets that it has dropped."""
        return sum(way.dropped for way in self._ways)

    async def run(self) -> None:
        """Carry packets until cancelled."""
        near, far = self._ends
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_carry, near, far, self._ways[0])
            nursery.start_soon(_carry, far, near, self._ways[1])


async def _carry(source: socket.socket, sink: socket.socket, way: Way) -> None:
    while True:
        with trio.move_on_at(_deadline(way)):
            await trio.lowlevel.wait_readable(source)
        for _ in range(_TURN):
            try:
                packet, ancillary, _, _ = source.recvmsg(_LARGEST, _ANCILLARY)
            except OSError:  # EAGAIN, or ENETDOWN while the network goes down
                break
            way.put(packet, trio.current_time() - _age(ancillary))
        while (due := way.take(trio.current_time())) is not None:
            try:
                sink.send(due)
            except OSError:
                way.dropped += 1  # a full queue, as anywhere on the way
        await trio.lowlevel.checkpoint()


def _age(ancillary: list[tuple[int, int, bytes]]) -> float:
    """Seconds since the kernel got a packet; nothing where its clock was set meanwhile."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _TIMESTAMPNS) and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            age: float = time.time() - seconds - nanoseconds / 1e9
            return age if 0 < age < 1 else 0.0
    return 0.0


def _deadline(way: Way) -> float:
    due = way.due()
    return float("inf") if due is None else due
