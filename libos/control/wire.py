"""The control socket's language: one JSON object a line, descriptors beside the bytes by SCM_RIGHTS.

Rules:
- The other side may be anything that this user runs: a line has a bound, a message is an object, at most
  `MAX_DESCRIPTORS` descriptors come with it, and whatever breaks a rule is a `ProtocolError`.
- Descriptors belong to the line in whose bytes they arrive; a sender puts them beside the line's first byte.
- No trio here: `libos ps` and `kill` speak this with a plain socket and start in a few milliseconds.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
from collections.abc import Sequence
from typing import Any

from libos.errors import LibosError

VERSION = 1
# Bytes in one line. An exec's arguments and environment are the longest thing said; execve(2) takes 128 KiB
# a string.
MAX_LINE = 256 * 1024
# Standard input, output and error are the most that one message carries.
MAX_DESCRIPTORS = 3
_INT_BYTES = array.array("i").itemsize

Message = dict[str, Any]


class ProtocolError(LibosError):
    """The other side said something that is not the control socket's language."""


def encode(message: Message) -> bytes:
    """Give the line for one message; the version is added."""
    return json.dumps({"version": VERSION, **message}).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Give the message of one line. Raises ProtocolError."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("a control message is not JSON") from error
    if not isinstance(message, dict):
        raise ProtocolError("a control message is not an object")
    if message.get("version") != VERSION:
        raise ProtocolError(f"control messages here have version {VERSION}, not {message.get('version')!r}")
    return message


class Lines:
    """Cuts a stream of bytes into lines of at most MAX_LINE bytes. Pure."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> None:
        """Take further bytes. Raises ProtocolError when a line becomes too long."""
        self._rest += data
        if len(self._rest) > MAX_LINE and b"\n" not in self._rest:
            raise ProtocolError(f"a control message is longer than {MAX_LINE} bytes")

    def take(self) -> bytes | None:
        """Give the next whole line without its end, or None."""
        line, found, rest = self._rest.partition(b"\n")
        if not found:
            return None
        self._rest = rest
        return bytes(line)


def rights(descriptors: Sequence[int]) -> list[tuple[int, int, bytes]]:
    """Give sendmsg(2)'s ancillary data that copies the descriptors. unix(7), SCM_RIGHTS."""
    if not descriptors:
        return []
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors).tobytes())]


def ancillary_room() -> int:
    """Give recvmsg(2)'s room for one more descriptor than allowed, so that too many are noticed."""
    return socket.CMSG_SPACE((MAX_DESCRIPTORS + 1) * _INT_BYTES)


def received(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """Give the descriptors in recvmsg(2)'s ancillary data, close-on-exec."""
    numbers = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers.frombytes(data[: len(data) - len(data) % _INT_BYTES])
    # CPython's recvmsg has no MSG_CMSG_CLOEXEC of its own; sync on purpose: nothing is executed in between.
    for number in numbers:
        os.set_inheritable(number, False)
    return list(numbers)


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors; one that is closed already does not stop the others."""
    for number in descriptors:
        with contextlib.suppress(OSError):
            os.close(number)
