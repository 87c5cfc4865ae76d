"""What happens in worlds, as typed events and as JSON lines.

One hub fans every event out to any number of readers. A reader that does not keep up loses events, never
memory: its next event is then an `error` that says how many it lost.
"""

from __future__ import annotations

import json
import time as clock
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Literal

import trio

Kind = Literal[
    "world.plan",
    "app.start",
    "app.exit",
    "world.state",
    "world.empty",
    "path.absent",
    "path.used",
    "path.untold",
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
    "syscall.call",
    "listen.ready",
    "listen.open",
    "listen.close",
    "grant",
    "limit.hit",
    "limit.threshold",
    "missing",
    "audit",
    "label",
    "domain.refused",
    "exec.refused",
    "ask",
    "answer",
    "error",
]

# The version of the event lines; it grows when a field changes its meaning or goes away.
VERSION = 1
# Events that a reader may be behind. At some 500 bytes each this bounds a reader to about 5 MB; one that
# names the longest paths has up to 30 KB.
BACKLOG = 10_000
# What `Event.bounded` leaves: characters of one text (PATH_MAX, limits.h), and of the whole event, with 16
# more for each value. JSON takes at most 12 bytes a character, so a bounded event fits into a control
# message.
LONGEST_TEXT = 4096
LARGEST_EVENT = 16 * 1024
_VALUE = 16
# Kinds that say what a world is and what it has become; of these the first MOST_FIRST stay.
_STAY = frozenset({"world.plan", "app.start", "missing", "grant", "listen.ready", "limit.hit", "app.exit"})
MOST_FIRST = 500


@dataclass(frozen=True)
class Event:
    """One thing that happened: when (seconds since the epoch), in which world, and its kind's own fields."""

    kind: Kind
    world: str | None
    fields: Mapping[str, object] = field(default_factory=dict)
    time: float = field(default_factory=clock.time)

    def value(self) -> dict[str, Any]:
        """Give the event as the object that its line is."""
        head = {"version": VERSION, "time": round(self.time, 6), "world": self.world, "kind": self.kind}
        return head | dict(self.fields)

    def json(self) -> str:
        """Give the event as one line of JSON, without the line's end."""
        return json.dumps(self.value(), separators=(", ", ": "))

    @property
    def is_long(self) -> bool:
        """Whether a text in it is longer than what an app names has to be."""
        return any(isinstance(each, str) and len(each) > LONGEST_TEXT for each in self.fields.values())

    def bounded(self) -> Event:
        """Give the event with long texts cut, each then ending in "…", and what is too much left out: for who
        keeps events or sends them on, since an app chooses much of what stands in them."""
        room = _Room(LARGEST_EVENT)
        fields = {key[:LONGEST_TEXT]: room.take(value) for key, value in self.fields.items() if room.left > 0}
        return Event(self.kind, self.world, fields, self.time)


class _Room:
    """What is left for the values of one event."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, value: object, depth: int = 0) -> object:
        self.left -= _VALUE
        if isinstance(value, str):
            longest = max(0, min(LONGEST_TEXT, self.left))
            self.left -= min(len(value), longest)
            return value if len(value) <= longest else f"{value[:longest]}…"
        if isinstance(value, (bool, float)) or value is None:
            return value
        if isinstance(value, int):
            return value if abs(value) < 1 << 63 else None
        if depth < 4 and isinstance(value, Mapping):
            pairs = value.items()
            return {str(key)[:100]: self.take(each, depth + 1) for key, each in pairs if self.left > 0}
        if depth < 4 and isinstance(value, (list, tuple)):
            return [self.take(each, depth + 1) for each in value if self.left > 0]
        return None


class History:
    """What is kept of one world's events: the latest, bounded, and, beside them, of the kinds in `_STAY` the
    first ones, so that a flood of refusals does not carry away what the world is."""

    def __init__(self, most: int) -> None:
        self._first: list[tuple[int, Event]] = []
        self._latest: deque[tuple[int, Event]] = deque(maxlen=most)
        self._number = 0

    def add(self, event: Event) -> None:
        """Keep an event, bounded."""
        self._number += 1
        numbered = (self._number, event.bounded())
        if event.kind in _STAY and len(self._first) < MOST_FIRST:
            self._first.append(numbered)
        else:
            self._latest.append(numbered)

    def events(self) -> list[Event]:
        """Give what is kept, in order; where some are not any more, an `error` says how many."""
        kept = sorted([*self._first, *self._latest], key=itemgetter(0))
        if lost := self._number - len(kept):
            reason = f"earlier events are lost: the latest {self._latest.maxlen} are kept"
            at = self._latest[0] if self._latest else kept[-1]
            kept.insert(
                kept.index(at), (0, Event("error", None, {"reason": reason, "lost": lost}, at[1].time))
            )
        return [event for _, event in kept]


class Hub:
    """Fans events out. `emit` is sync on purpose: no checkpoint between what happened and its event.

    With `history`, so many events of each world are kept for readers that come later; see `History`.
    """

    def __init__(self, history: int = 0) -> None:
        self._readers: set[Reader] = set()
        self._history = history
        self._histories: dict[str, History] = {}

    @property
    def heard(self) -> bool:
        """Whether an event would reach anybody, now or later."""
        return bool(self._readers or self._history)

    def emit(self, kind: Kind, world: str | None, **fields: object) -> None:
        """Give an event to every reader. Never waits."""
        if not self.heard:
            return
        event = Event(kind, world, fields)
        if kind not in _STAY and event.is_long:
            event = event.bounded()
        if self._history and world is not None:
            self._histories.setdefault(world, History(self._history)).add(event)
        for reader in self._readers:
            reader.put(event)

    def forget(self, world: str) -> None:
        """Drop what is kept of a world, which is over."""
        self._histories.pop(world, None)

    def room(self) -> int:
        """How many events the slowest reader can still be given without losing one."""
        return min((reader.room() for reader in self._readers), default=BACKLOG)

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
    def read(self, world: str | None = None) -> Iterator[Reader]:
        """Open a reader: from here on every event is kept for it until it reads or the block ends.

        With a world, it gets what is kept of that world's earlier events first, then that world's alone and
        those of the whole supervisor, and ends after the world's last event.
        """
        reader = Reader(world)
        for event in self._histories[world].events() if world in self._histories else ():
            reader.put(event)
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


class Reader(AsyncIterator[Event]):
    """What one reader gets."""

    def __init__(self, world: str | None = None) -> None:
        self._send, self._receive = trio.open_memory_channel[Event](BACKLOG)
        self._world = world
        self._lost = 0

    def put(self, event: Event) -> None:
        if self._world is not None and event.world not in (None, self._world):
            return
        try:
            if self._lost:
                self._send.send_nowait(self._untold())
                self._lost = 0
            self._send.send_nowait(event)
        except trio.WouldBlock:
            self._lost += 1
        except trio.ClosedResourceError:
            return
        if self._world is not None and event.kind == "app.exit":
            self.close()

    def _untold(self) -> Event:
        reason = f"events were lost: the reader was {BACKLOG} behind"
        return Event("error", None, {"reason": reason, "lost": self._lost})

    def room(self) -> int:
        return BACKLOG - self._send.statistics().current_buffer_used

    def close(self) -> None:
        self._send.close()

    @property
    def waiting(self) -> int:
        """How many events are there to be read at once."""
        return self._receive.statistics().current_buffer_used

    async def __anext__(self) -> Event:
        if self._lost and not self.waiting:
            told, self._lost = self._untold(), 0  # also where nothing comes any more
            return told
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
