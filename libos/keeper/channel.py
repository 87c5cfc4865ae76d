"""Messages between the supervisor and its helper processes: JSON and descriptors over SOCK_SEQPACKET.

A message is one packet. What does not fit into a packet travels in a memfd whose descriptor comes first.
Received descriptors are close-on-exec and belong to the receiver. unix(7), memfd_create(2).
"""

from __future__ import annotations

import array
import errno
import json
import os
import socket
from collections.abc import Sequence
from typing import Any

Message = dict[str, Any]

# Bytes of JSON sent in the packet itself. A packet is bounded by SO_SNDBUF, 212,992 bytes unless changed.
_INLINE_LIMIT = 65_536
# The most descriptors that one message can carry: SCM_MAX_FD in unix(7).
FD_LIMIT = 253
_ANCILLARY = socket.CMSG_SPACE(FD_LIMIT * array.array("i").itemsize)
_IN_MEMFD = b"\0"
_READ_SIZE = 1 << 20


def pair() -> tuple[socket.socket, socket.socket]:
    """Give two connected ends; both close on exec."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def encode(message: Message, fds: Sequence[int]) -> tuple[bytes, list[int], int | None]:
    """Give (packet, descriptors to send, memfd to close after sending or None)."""
    data = json.dumps(message, separators=(",", ":")).encode()
    if len(data) <= _INLINE_LIMIT:
        return data, list(fds), None
    memfd = os.memfd_create("libos message")
    with open(memfd, "wb", closefd=False) as file:
        file.write(data)
    return _IN_MEMFD, [memfd, *fds], memfd


def decode(packet: bytes, fds: list[int]) -> tuple[Message, list[int]]:
    """Give the message and its descriptors back. Raises OSError and ValueError for what `encode` did not
    make; then all descriptors are still open."""
    if packet != _IN_MEMFD:
        return _object(packet), fds
    if not fds:
        raise ValueError("a message that announces a memfd came without one")
    data = b""
    while more := os.pread(fds[0], _READ_SIZE, len(data)):
        data += more
    message = _object(data)
    os.close(fds[0])
    return message, fds[1:]


def _packet(channel: socket.socket) -> tuple[bytes, list[tuple[int, int, bytes]], int, Any]:
    return channel.recvmsg(_INLINE_LIMIT + 1, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)


class LostDescriptorsError(OSError):
    """A message came whose descriptors this process could not take: it may have no more. unix(7)."""

    def __init__(self, message: Message) -> None:
        super().__init__(errno.EMFILE, "no more descriptors: raise this process's limit (ulimit -n)")
        self.message = message


def _object(data: bytes) -> Message:
    try:
        message = json.loads(data)
    except RecursionError:
        raise ValueError("a message nested too deeply") from None
    if not isinstance(message, dict):
        raise ValueError(f"a message is an object, not {type(message).__name__}")
    return message


def failure(error: OSError | MemoryError) -> Message:
    """What is said of an error: its errno and its text."""
    if isinstance(error, MemoryError):
        return {"errno": errno.ENOMEM, "message": os.strerror(errno.ENOMEM)}
    return {"errno": error.errno or errno.EIO, "message": error.strerror or str(error)}


def send(channel: socket.socket, message: Message, fds: Sequence[int] = ()) -> None:
    """Send one message; blocks while the other side does not read. Raises OSError (EPIPE at its end)."""
    packet, all_fds, memfd = encode(message, fds)
    try:
        socket.send_fds(channel, [packet], all_fds)
    finally:
        if memfd is not None:
            os.close(memfd)


def receive(channel: socket.socket) -> tuple[Message, list[int]] | None:
    """Wait for one message; None when the other side has closed.

    Raises LostDescriptorsError, other OSErrors, and ValueError for what is no message.
    """
    try:
        packet, ancillary, flags, _address = _packet(channel)
    except ConnectionResetError:  # told once: it left something unread. What it said before is there
        packet, ancillary, flags, _address = _packet(channel)
    received = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            received.frombytes(data[: len(data) - len(data) % received.itemsize])
    fds = received.tolist()
    try:
        if flags & socket.MSG_CTRUNC:
            raise LostDescriptorsError({} if packet == _IN_MEMFD else _object(packet))
        return decode(packet, fds) if packet else None
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
