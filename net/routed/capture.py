"""Writes what a world's link carries to a file, as pcapng, from the gate's side of it.

Rules:
- The file is begun before anything of the app runs, and is whole at each moment but for its last block. It is
  the caller's alone: a capture holds what programs say.
- It is bounded: at the limit no further packets are written, which is told once. They, and those that the
  kernel had to drop because they came too fast, are counted in the statistics block at its end.
- It is written by a thread, so that a slow disk makes nobody wait; packets are then dropped, and counted.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from dataclasses import dataclass

import trio

from libos.errors import HostError
from libos.net.routed import pcapng
from libos.net.sockets import Observe, Spec, describe

SPEC: Spec = (socket.AF_PACKET, socket.SOCK_RAW, 0)
# Bytes that a file may have unless something else is said.
LIMIT = 1024 * 1024 * 1024
_ETH_P_ALL = 3  # linux/if_ether.h
# linux/socket.h, linux/if_packet.h
_SOL_PACKET, _STATISTICS, _OUTGOING = 263, 6, 4
_TIMESTAMPNS = 35  # asm-generic/socket.h
_TIMESPEC = struct.Struct("@ll")
_ANCILLARY = socket.CMSG_SPACE(_TIMESPEC.size)
_RECEIVED = 8 * 1024 * 1024
# Bytes that are gathered, and seconds that are waited for more, before they are written.
_GATHERED, _PAUSE = 256 * 1024, 0.02
# What the statistics block needs of the limit.
_RESERVED = 256


@dataclass(frozen=True)
class CaptureTo:
    """A file, and the bytes that it may have."""

    path: str
    limit: int = LIMIT


class Capture:
    """A capture of one world. The constructor makes the file; raises HostError where it cannot."""

    def __init__(self, to: CaptureTo, observe: Observe) -> None:
        self._to = to
        self._observe = observe
        self._free = to.limit - _RESERVED
        self._began = time.time_ns()
        self._socket: socket.socket | None = None
        # Packets that came, that the kernel dropped, and that were not written.
        self._seen = self._lost = self._left_out = 0
        self._full = False
        try:
            self._fd = os.open(to.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                self._write(pcapng.header("eth0"))
            except OSError:
                os.close(self._fd)
                raise
        except OSError as error:
            raise HostError(f"the capture {to.path} cannot be written: {error.strerror}") from error

    def listen(self, made: socket.socket) -> None:
        """Capture by a socket of SPEC, made on the gate's side, from now on; it belongs to this. OSError."""
        self._socket = made
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVED)
        made.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
        made.bind(("world", _ETH_P_ALL))

    async def run(self) -> None:
        """Write packets until cancelled. A file that cannot be written on is told once, and left."""
        assert self._socket is not None
        while not self._full:
            await trio.lowlevel.wait_readable(self._socket)
            await trio.sleep(_PAUSE)
            while not self._full and (blocks := self._read()):
                try:
                    await trio.to_thread.run_sync(self._write, blocks)
                except OSError as error:
                    self._stop(describe(error))

    def close(self) -> None:
        """Write what is there still, and the statistics, and close the file. May be called again."""
        if self._fd < 0:
            return
        with contextlib.suppress(OSError):
            while self._socket is not None and not self._full and (blocks := self._read()):
                self._write(blocks)
            dropped = self._dropped() + self._left_out
            self._write(pcapng.statistics(self._began, time.time_ns(), self._seen + self._lost, dropped))
        os.close(self._fd)
        self._fd = -1
        if self._socket is not None:
            self._socket.close()

    def _read(self) -> bytes:
        """The blocks of what has come, as many as are written at once."""
        assert self._socket is not None
        blocks = bytearray()
        while len(blocks) < _GATHERED:
            try:
                data, ancillary, _, address = self._socket.recvmsg(pcapng.SNAPLEN, _ANCILLARY)
            except OSError:  # EAGAIN, or ENETDOWN while the network goes down
                break
            self._seen += 1
            # The file speaks of eth0, whose other end this is.
            direction = pcapng.INBOUND if address[2] == _OUTGOING else pcapng.OUTBOUND
            block = pcapng.packet(_time_of(ancillary), data, len(data), direction)
            if len(block) > self._free:
                self._left_out += 1
                self._stop(f"the file has the {self._to.limit} bytes that it may have")
                break
            self._free -= len(block)
            blocks += block
        return bytes(blocks)

    def _stop(self, why: str) -> None:
        """No more packets: those that come are counted by the kernel."""
        if not self._full:
            self._full = True
            self._observe("error", {"operation": "capture", "address": self._to.path, "error": why})

    def _dropped(self) -> int:
        """Packets that came and were not read. packet(7), PACKET_STATISTICS: reading sets them to zero."""
        if self._socket is None:
            return 0
        seen, dropped = struct.unpack("=II", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8))
        self._lost = max(dropped, seen - self._seen)
        return self._lost

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]


def _time_of(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _TIMESTAMPNS) and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return int(seconds * 1_000_000_000 + nanoseconds)
    return time.time_ns()
