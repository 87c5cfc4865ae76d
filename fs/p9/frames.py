"""Whole frames from a byte stream, bounded.

What a cancelled `next` had received stays for the next one.
"""

from __future__ import annotations

import struct

import trio

from libos.fs.p9.codec import HEADER, MalformedError

# Bytes of a frame at most, the header included: what the server offers and the client asks for.
FRAME_MAX = 64 << 10
# Bytes of a frame at least that a peer may insist on: a walk of 16 long names, or a name in a listing.
FRAME_MIN = 8 << 10
_CHUNK = 64 << 10


class Frames:
    """The frames of one stream."""

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream = stream
        self._held = bytearray()

    async def next(self) -> bytes | None:
        """The next frame, None at the end of the stream. MalformedError for a size beyond the bounds and for
        an end amid a frame; trio.BrokenResourceError as the stream has it."""
        while True:
            frame = self._whole()
            if frame is not None:
                return frame
            more = await self._stream.receive_some(_CHUNK)
            if not more and self._held:
                raise MalformedError(f"the stream ends after {len(self._held)} bytes of a frame")
            if not more:
                return None
            self._held += more

    def _whole(self) -> bytes | None:
        if len(self._held) < 4:
            return None
        (size,) = struct.unpack_from("<I", self._held)
        if not HEADER <= size <= FRAME_MAX:
            raise MalformedError(f"a frame of {size} bytes")
        if len(self._held) < size:
            return None
        frame = bytes(self._held[:size])
        del self._held[:size]
        return frame
