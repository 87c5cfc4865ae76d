"""What happens in worlds, as typed events and as JSON lines.

One hub fans every event out to any number of readers. A reader that does not keep up loses events, never
memory: its next event is then an `error` that says how many it lost.
"""

from __future__ import annotations

import json
import time as clock
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import trio

Kind = Literal[
    "app.start",
    "app.exit",
    "world.state",
    "path.absent",
    "name.absent",
    "name.resolved",
    "name.found",
    "dial.open",
    "dial.close",
    "dial.refused",
    "dial.denied",
    "dial.limited",
    "http.request",
    "http.refused",
    "secret.refused",
    "syscall.refused",
    "listen.ready",
    "listen.open",
    "listen.close",
    "grant",
    "limit.hit",
    "missing",
    "audit",
    "ask",
    "answer",
    "error",
]

# The version of the event lines; it grows when a field changes its meaning or goes away.
VERSION = 1
# Events that a reader may be behind. At some 500 bytes each this bounds a reader to about 5 MB.
BACKLOG = 10_000


@dataclass(frozen=True)
class Event:
    """One thing that happened: when (seconds since the epoch), in which world, and its kind's own fields."""

    kind: Kind
    world: str | None
    fields: Mapping[str, object] = field(default_factory=dict)
    time: float = field(default_factory=clock.time)

    def json(self) -> str:
        """Give the event as one line of JSON, without the line's end."""
        head = {"version": VERSION, "time": round(self.time, 6), "world": self.world, "kind": self.kind}
        return json.dumps(head | dict(self.fields), separators=(", ", ": "))


class Hub:
    """Fans events out. `emit` is sync on purpose: no checkpoint between what happened and its event."""

    def __init__(self) -> None:
        self._readers: set[_Reader] = set()

    def emit(self, kind: Kind, world: str | None, **fields: object) -> None:
        """Give an event to every reader. Never waits."""
        if not self._readers:
            return
        event = Event(kind, world, fields)
        for reader in self._readers:
            reader.put(event)

    def tell_grant(
        self,
        world: str,
        action: str,
        grant: str,
        where: Mapping[str, object],
        mechanism: str,
        note: str = "",
        **fields: object,
    ) -> None:
        """Tell what was done with the grant of an id, which stands `where`; `note` is for a person."""
        said: Mapping[str, object] = {"note": note} if note else {}
        self.emit("grant", world, action=action, id=grant, **where, mechanism=mechanism, **fields, **said)

    @contextmanager
    def read(self) -> Iterator[AsyncIterator[Event]]:
        """Open a reader: from here on every event is kept for it until it reads or the block ends."""
        reader = _Reader()
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)
            reader.close()

    def close(self) -> None:
        """End every reader's iteration once it has read what is kept."""
        for reader in self._readers:
            reader.close()


class _Reader(AsyncIterator[Event]):
    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Event](BACKLOG)
        self._lost = 0

    def put(self, event: Event) -> None:
        try:
            if self._lost:
                lost = {"reason": f"events were lost: the reader was {BACKLOG} behind", "lost": self._lost}
                self._send.send_nowait(Event("error", None, lost))
                self._lost = 0
            self._send.send_nowait(event)
        except trio.WouldBlock:
            self._lost += 1
        except trio.ClosedResourceError:
            pass

    def close(self) -> None:
        self._send.close()

    async def __anext__(self) -> Event:
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
