"""Connections of a world: the open ones and the latest that were closed, and the sums of all. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from libos.seen.fields import Fields, number, text, whole

# Connections that are remembered; of more, the oldest closed ones are forgotten first, then the oldest.
MOST = 2000
# HTTP requests that are listed: of one connection, of all, and characters of each.
MOST_OF_ONE = 100
MOST_REQUESTS = 20_000
LONGEST = 300


@dataclass(eq=False)
class ConnectionSeen:
    """One connection. `way` is "dial" or "listen"; `address` is the one inside that was dialed, or the one
    outside where it came in; `peer` is where it leads, or who connected. `closed` is None while it is
    open."""

    number: int
    way: str
    address: str
    peer: str = ""
    grant: str = ""
    program: str = ""
    pid: int | None = None
    opened: float = 0.0
    closed: float | None = None
    sent: int = 0
    received: int = 0
    error: str = ""
    requests: list[str] = field(default_factory=list)


class ConnectionsSeen:
    """All of one world."""

    def __init__(self, most: int = MOST) -> None:
        self._all: OrderedDict[int, ConnectionSeen] = OrderedDict()
        self._most = most
        self.opened = 0
        self.sent = 0
        self.received = 0
        self._requests = 0

    def __iter__(self) -> Iterator[ConnectionSeen]:
        return iter(self._all.values())

    @property
    def open(self) -> int:
        """How many are open now."""
        return sum(each.closed is None for each in self._all.values())

    def opens(self, way: str, time: float, fields: Fields) -> ConnectionSeen:
        """Take the event of an opening."""
        self.opened += 1
        key = whole(fields, "connection")
        key = -self.opened if key is None else key
        seen = self._all[key] = ConnectionSeen(key, way, text(fields, "address"), opened=time)
        self._know(seen, fields)
        if len(self._all) > self._most:
            closed = next((each for each, seen in self._all.items() if seen.closed is not None), None)
            gone = self._all.pop(next(iter(self._all)) if closed is None else closed)
            self._requests -= len(gone.requests)
        return seen

    def closes(self, way: str, time: float, fields: Fields) -> ConnectionSeen:
        """Take the event of an end; its opening may have been lost."""
        key = whole(fields, "connection")
        seen = self._all.get(key) if key is not None else None
        if seen is None:
            seen = self.opens(way, time - number(fields, "seconds"), fields)
        self._know(seen, fields)
        seen.closed = time
        seen.sent, seen.received = int(number(fields, "sent")), int(number(fields, "received"))
        seen.error = text(fields, "error")
        self.sent += seen.sent
        self.received += seen.received
        return seen

    def _know(self, seen: ConnectionSeen, fields: Fields) -> None:
        seen.peer = text(fields, "to") or text(fields, "peer") or seen.peer
        seen.grant = text(fields, "grant") or seen.grant
        seen.program = text(fields, "program") or seen.program
        seen.pid = whole(fields, "pid") if whole(fields, "pid") is not None else seen.pid

    def request(self, fields: Fields) -> None:
        """Take an HTTP request that passed."""
        seen = self._all.get(whole(fields, "connection") or 0)
        if seen is not None and len(seen.requests) < MOST_OF_ONE and self._requests < MOST_REQUESTS:
            self._requests += 1
            said = f"{text(fields, 'method')} {text(fields, 'host')}{text(fields, 'path')}"
            said = said if len(said) <= LONGEST else f"{said[:LONGEST]}…"
            seen.requests.append(f"{said} {whole(fields, 'status') or ''}".rstrip())
