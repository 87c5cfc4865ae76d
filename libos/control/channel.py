"""One end of a control connection, for trio.

A descriptor that was received has an owner at once: the channel keeps it until `receive` hands it out, and
closes what nobody took.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

import trio

from libos.control.wire import (
    MAX_DESCRIPTORS,
    Lines,
    Message,
    ProtocolError,
    ancillary_room,
    close_all,
    decode,
    encode,
    received,
    rights,
)

# Bytes taken at a time.
_CHUNK = 64 * 1024


class Channel:
    """One end of a control connection, for trio: any task may send, one receives. Owns the socket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = trio.socket.from_stdlib_socket(sock)
        self._lines = Lines()
        self._descriptors: list[int] = []
        self._turn = trio.Lock()

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and every descriptor that nobody took."""
        close_all(self._descriptors)
        self._descriptors = []
        self._sock.close()

    async def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Say one message; the descriptors are copied to the other side. Raises OSError when it is gone."""
        data = encode(message)
        async with self._turn:
            sent = await self._sock.sendmsg([data], rights(descriptors))
            while sent < len(data):
                sent += await self._sock.send(data[sent:])

    async def receive(self) -> tuple[Message, list[int]] | None:
        """Give the next message and its descriptors, which the caller then owns; None at the end.

        Raises ProtocolError, also when the connection ends in the middle of a line, and OSError.
        """
        while (line := self._lines.take()) is None:
            data, ancillary, flags, _ = await self._sock.recvmsg(_CHUNK, ancillary_room())
            self._descriptors += received(ancillary)
            if flags & socket.MSG_CTRUNC or len(self._descriptors) > MAX_DESCRIPTORS:
                raise ProtocolError(f"more than {MAX_DESCRIPTORS} descriptors came with a control message")
            if not data:
                return None
            self._lines.feed(data)
        message = decode(line)
        descriptors, self._descriptors = self._descriptors, []
        return message, descriptors
