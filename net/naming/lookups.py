"""Tells of names that a program asked for: those that exist there, and those that do not.

Rules:
- A name is told when it is first asked for, and again a second later at the earliest: getaddrinfo(3) asks
  for both families at once, and a program that tries in a loop tries one thing.
- No program can keep the supervisor busy with events: at most 100 a second are told, and the next event says
  in `untold` how many other lookups there were.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from libos.net.sockets import Observe

# Seconds in which a name is told once.
_ONCE = 1.0
# Events in that time.
_MOST = 100


class Lookups:
    """Tells of one world's by events of one kind: "name.found" or "name.absent". Sync."""

    def __init__(self, kind: str, observe: Observe, clock: Callable[[], float] = trio.current_time) -> None:
        self._kind = kind
        self._observe = observe
        self._clock = clock
        self._began = 0.0
        # What was told since then: at most _MOST names, and as many from the second before.
        self._told: set[str] = set()
        self._told_before: set[str] = set()
        self._untold = 0

    def note(self, name: str, kind: str, **fields: object) -> None:
        """Take down that a name was asked for, with the type of records."""
        now = self._clock()
        if now - self._began >= _ONCE:
            self._told_before = self._told if now - self._began < 2 * _ONCE else set()
            self._told, self._began = set(), now
        if name in self._told or name in self._told_before:
            return
        if len(self._told) >= _MOST:
            self._untold += 1
            return
        self._told.add(name)
        untold, self._untold = self._untold, 0
        self._observe(self._kind, {"name": name, "type": kind, **fields, "untold": untold})
