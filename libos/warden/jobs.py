"""A job: one program that was spawned in a container, its output and its end.

Rules: output is kept up to MOST_OUTPUT a stream, and what comes after is read, counted and dropped, so that
the program is never held up; whoever streams gets what is kept and then what comes, but holds up nobody.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import trio

from libos.process import ExitStatus, Process

# Bytes of a stream that `link` gives back.
MOST_OUTPUT = 1 << 20
# Pieces of output that a client who streams may be behind.
_BEHIND = 256


class Job:
    """Use from the trio thread; `run` carries its output until its end."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.kept = {"stdout": bytearray(), "stderr": bytearray()}
        self.dropped = 0
        self.status: ExitStatus | None = None
        self._ended = trio.Event()
        self._listeners: set[trio.MemorySendChannel[tuple[str, bytes]]] = set()

    async def run(self) -> None:
        """Read both streams to their ends."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, "stdout", self.process.stdout)
            nursery.start_soon(self._read, "stderr", self.process.stderr)
        self.status = await self.process.wait()
        await self.process.aclose()
        self._ended.set()
        for listener in self._listeners:
            listener.close()

    async def _read(self, name: str, stream: Any) -> None:
        async for part in stream:
            room = MOST_OUTPUT - len(self.kept[name])
            self.kept[name] += part[:room]
            self.dropped += max(0, len(part) - room)
            for listener in self._listeners:
                try:
                    listener.send_nowait((name, bytes(part)))
                except (trio.WouldBlock, trio.BrokenResourceError):
                    self.dropped += len(part)

    async def ended(self) -> dict[str, object]:
        """Wait for the end, and give all that `link` answers."""
        await self._ended.wait()
        assert self.status is not None
        texts = {name: data.decode(errors="replace") for name, data in self.kept.items()}
        return {
            "exit_status": self.status.returncode,
            "reason": self.status.reason,
            **texts,
            "dropped": self.dropped,
        }

    async def pieces(self) -> AsyncIterator[tuple[str, bytes]]:
        """What is kept of its output, and what it writes from now on, as it comes: the stream's name and
        bytes."""
        send, receive = trio.open_memory_channel[tuple[str, bytes]](_BEHIND)
        earlier = [(name, bytes(data)) for name, data in self.kept.items() if data]
        if self._ended.is_set():
            send.close()
        self._listeners.add(send)
        for piece in earlier:
            yield piece
        try:
            async for piece in receive:
                yield piece
        finally:
            self._listeners.discard(send)

    async def stop(self, seconds: float, first: int, then: int) -> None:
        """Send a signal, and another one where it has not ended after `seconds`."""
        await self.process.send_signal(first)
        with trio.move_on_after(seconds):
            await self._ended.wait()
            return
        await self.process.send_signal(then)
        await self._ended.wait()
