"""What a run touched and asked for, as a set that can be compared with another run's. Pure.

Rules: a thing is what was done and to what, so that a file that one run read and the other wrote differs; how
often and when does not count. What differs from run to run by itself, such as process numbers and ports of
peers, is no part of it.
"""

from __future__ import annotations

from libos.events import Event
from libos.seen.attempts import attempt_of
from libos.seen.fields import text, whole

# Different things that are kept of one run.
MOST = 200_000
# Characters of their names together, some 20 MB mostly: as many as a recorded run may have.
MOST_CHARACTERS = 20_000_000

Thing = tuple[str, str]
# The words of attempts, as `libos diff-runs` prints them.
_ATTEMPTS = {
    "path": "absent",
    "name": "no name",
    "dial": "refused",
    "http": "refused",
    "ask": "denied",
}


class Touched:
    """What one run touched: `things`, each what was done and its name. `beyond` counts what had no room."""

    def __init__(self) -> None:
        self.things: set[Thing] = set()
        self.beyond = 0
        self._left = MOST_CHARACTERS

    def feed(self, event: Event) -> None:
        """Take an event."""
        thing = thing_of(event)
        if thing is None or thing in self.things:
            return
        if len(self.things) < MOST and len(thing[1]) <= self._left:
            self._left -= len(thing[1])
            self.things.add(thing)
        else:
            self.beyond += 1


def thing_of(event: Event) -> Thing | None:
    """What an event tells that was touched; None where nothing was."""
    if attempt := attempt_of(event):
        return _ATTEMPTS.get(attempt[0], attempt[0]), attempt[1]
    fields = event.fields
    if event.kind == "path.used" or (event.kind == "audit" and not text(fields, "error")):
        return text(fields, "operation"), text(fields, "path")
    if event.kind == "dial.open":
        return "dial", text(fields, "address")
    if event.kind == "name.found":
        return "name", text(fields, "name")
    if event.kind == "http.request":
        return "request", f"{text(fields, 'method')} {text(fields, 'host')}{text(fields, 'path')}"
    if event.kind == "listen.ready":
        return "listen", f"tcp!*!{whole(fields, 'port')}"
    if event.kind == "limit.hit":
        return "limit", text(fields, "limit")
    if event.kind == "app.exit":
        return "exit", f"{whole(fields, 'status')} ({text(fields, 'reason')})"
    return None
