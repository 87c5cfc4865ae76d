"""Messages between the supervisor and its helper processes: JSON and descriptors over SOCK_SEQPACKET.

A message is one packet. What does not fit into a packet travels in a memfd whose descriptor comes first; more
descriptors than a packet carries travel in the queue of a socket, whose descriptor then comes alone.
Received descriptors are close-on-exec and belong to the receiver. unix(7), memfd_create(2).
"""

from __future__ import annotations

import array
import errno
import json
import os
import socket
import stat
from collections.abc import Sequence
from typing import Any

Message = dict[str, Any]

# Bytes of JSON sent in the packet itself. A packet is bounded by SO_SNDBUF, 212,992 bytes unless changed.
_INLINE_LIMIT = 65_536
# The most descriptors that one message can carry: SCM_MAX_FD in unix(7).
FD_LIMIT = 253
_ANCILLARY = socket.CMSG_SPACE(FD_LIMIT * array.array("i").itemsize)
# The most packets of descriptors that are taken from such a queue: a process has no more than NR_OPEN.
_MOST_PACKETS = (1 << 20) // FD_LIMIT
_IN_MEMFD = b"\0"
# Before a packet whose descriptors are in a queue.
_QUEUED = b"\1"
_READ_SIZE = 1 << 20


def pair() -> tuple[socket.socket, socket.socket]:
    """Give two connected ends; both close on exec."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def encode(message: Message, fds: Sequence[int]) -> tuple[bytes, list[int], list[int]]:
    """Give (packet, descriptors to send, those to close after sending). Raises OSError."""
    data = json.dumps(message, separators=(",", ":")).encode()
    if len(data) <= _INLINE_LIMIT:
        return _fitting(data, list(fds), [])
    memfd = os.memfd_create("libos message")
    with open(memfd, "wb", closefd=False) as file:
        file.write(data)
    return _fitting(_IN_MEMFD, [memfd, *fds], [memfd])


def _fitting(packet: bytes, fds: list[int], made: list[int]) -> tuple[bytes, list[int], list[int]]:
    if len(fds) <= FD_LIMIT:
        return packet, fds, made
    queue, theirs = pair()
    try:
        with queue:
            queue.setblocking(False)
            for start in range(0, len(fds), FD_LIMIT):
                socket.send_fds(queue, [_QUEUED], fds[start : start + FD_LIMIT])
    except OSError as error:
        _close(made)
        theirs.close()
        raise OSError(errno.EMFILE, f"{len(fds)} descriptors cannot be on their way at once") from error
    return _QUEUED + packet, [theirs.fileno()], [*made, theirs.detach()]


def _queued(queue_fd: int) -> list[int]:
    """Take the descriptors out of a queue, which is closed. Never waits. Raises OSError, ValueError; then
    none stays open."""
    found: list[int] = []
    try:
        with socket.socket(fileno=queue_fd) as queue:
            queue.setblocking(False)
            for _ in range(_MOST_PACKETS):
                packet, ancillary, flags, _ = queue.recvmsg(1, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
                found += _descriptors(ancillary)
                if flags & socket.MSG_CTRUNC:
                    raise LostDescriptorsError({})
                if not packet:
                    return found
            raise ValueError("more descriptors than a process can have")
    except BlockingIOError:
        _close(found)
        raise ValueError("a queue of descriptors that has no end") from None
    except BaseException:
        _close(found)
        raise


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    received = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            received.frombytes(data[: len(data) - len(data) % received.itemsize])
    return received.tolist()


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def decode(packet: bytes, fds: list[int]) -> tuple[Message, list[int]]:
    """Give the message and its descriptors back. `fds` is changed to those that are open: raises OSError and
    ValueError for what `encode` did not make, and they are still the caller's then."""
    if packet.startswith(_QUEUED):
        if len(fds) != 1 or stat.S_IFMT(os.fstat(fds[0]).st_mode) != stat.S_IFSOCK:
            raise ValueError("a message that announces a queue of descriptors came without one")
        packet = packet[len(_QUEUED) :]
        try:
            fds += _queued(fds.pop())
        except LostDescriptorsError:
            raise LostDescriptorsError(_told(packet)) from None
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


def _told(packet: bytes) -> Message:
    """What a message says whose descriptors were lost: nothing where it came in one of them."""
    return {} if packet.startswith((_IN_MEMFD, _QUEUED)) else _object(packet)


def failure(error: OSError | MemoryError) -> Message:
    """What is said of an error: its errno and its text."""
    if isinstance(error, MemoryError):
        return {"errno": errno.ENOMEM, "message": os.strerror(errno.ENOMEM)}
    return {"errno": error.errno or errno.EIO, "message": error.strerror or str(error)}


def send(channel: socket.socket, message: Message, fds: Sequence[int] = ()) -> None:
    """Send one message; blocks while the other side does not read. Raises OSError (EPIPE at its end)."""
    packet, all_fds, made = encode(message, fds)
    try:
        socket.send_fds(channel, [packet], all_fds)
    finally:
        _close(made)


def receive(channel: socket.socket) -> tuple[Message, list[int]] | None:
    """Wait for one message; None when the other side has closed.

    Raises LostDescriptorsError, other OSErrors, and ValueError for what is no message.
    """
    try:
        packet, ancillary, flags, _address = _packet(channel)
    except ConnectionResetError:  # told once: it left something unread. What it said before is there
        packet, ancillary, flags, _address = _packet(channel)
    fds = _descriptors(ancillary)
    try:
        if flags & socket.MSG_CTRUNC:
            raise LostDescriptorsError(_told(packet))
        return decode(packet, fds) if packet else None
    except BaseException:
        _close(fds)
        raise
