"""Event lines to events. Pure.

Rules: the version is strict, since a newer one may mean something else by a field's name; kinds and fields
that are not known pass. A line that is no event is passed over and counted with its number; so is one that is
longer than MAX_LINE, which is never held whole. What comes after the last line's end was cut.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import cast

from libos.errors import LibosError
from libos.events import VERSION, Event, Kind

# Bytes of one line. The longest is an `app.start` whose command has all that execve(2) takes.
MAX_LINE = 4 * 1024 * 1024
# Line numbers that are remembered of what was no event.
_NUMBERS = 20
# Characters of a kind and of a world's name: longer ones are no event's.
_NAME = 100


class EventsError(LibosError):
    """An event file that cannot be read, or not by this version."""

    exit_status = 2


class EventLines:
    """Makes events of bytes; `name` is the file's, for messages. After `end`, it says what was wrong:
    `garbage` lines, the first of which are in `garbage_lines`, `long` ones beyond MAX_LINE, and whether the
    last was `cut`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines = 0
        self.garbage = 0
        self.garbage_lines: list[int] = []
        self.long = 0
        self.cut = False
        self._rest = bytearray()
        self._passing = False  # inside a line that is too long

    def feed(self, data: bytes) -> Iterator[Event]:
        """Give the events of the lines that end in these bytes, each bounded. Raises EventsError for a newer
        version. To be exhausted before the next call."""
        *whole, rest = data.split(b"\n")
        for part in whole:
            self._add(part)
            self.lines += 1
            line, passing = bytes(self._rest), self._passing
            self._rest.clear()
            self._passing = False
            if passing:
                self.long += 1
            elif line.strip() and (event := self._event(line)) is not None:
                yield event
        self._add(rest)

    def _add(self, part: bytes) -> None:
        if len(self._rest) + len(part) > MAX_LINE:
            self._passing = True
            self._rest.clear()
        elif not self._passing:
            self._rest += part

    def end(self) -> Iterator[Event]:
        """Give the event of a last line without its end, where it is whole; else it was cut."""
        if self._passing or self._rest.strip():
            line = bytes(self._rest)
            self.lines += 1
            event = None if self._passing else self._event(line, last=True)
            self._rest.clear()
            self._passing = False
            if event is None:
                self.cut = True
            else:
                yield event

    def _event(self, line: bytes, *, last: bool = False) -> Event | None:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        event = self._checked(value) if isinstance(value, dict) else None
        if event is None and not last:
            self.garbage += 1
            if len(self.garbage_lines) < _NUMBERS:
                self.garbage_lines.append(self.lines)
        return event

    def _checked(self, value: dict[str, object]) -> Event | None:
        version = value.pop("version", None)
        if isinstance(version, int) and version > VERSION:
            raise EventsError(
                f"{self.name}:{self.lines}: an event of version {version}, and this libos reads version "
                f"{VERSION}: "
                "read it with the libos that wrote it, or a newer one"
            )
        return made(version, value)

    def notes(self) -> list[str]:
        """What was wrong, in a line each, for people."""
        found = []
        if self.garbage:
            numbers = ", ".join(map(str, self.garbage_lines))
            more = ", …" if self.garbage > len(self.garbage_lines) else ""
            lines = (
                f"line {numbers} is no event" if self.garbage == 1 else f"lines {numbers}{more} are no events"
            )
            found.append(f"{self.name}: {lines}; passed over")
        if self.long:
            found.append(f"{self.name}: {self.long} lines longer than {MAX_LINE >> 20} MiB were passed over")
        if self.cut:
            found.append(f"{self.name}: the last line is cut")
        return found


def made(version: object, value: dict[str, object]) -> Event | None:
    """The event that an object says, bounded; None where it is none. Takes what is not a field out of it."""
    time, world, kind = value.pop("time", None), value.pop("world", None), value.pop("kind", None)
    if version != VERSION or not isinstance(kind, str) or len(kind) > _NAME:
        return None
    if not (world is None or isinstance(world, str)) or len(world or "") > _NAME:
        return None
    if isinstance(time, bool) or not isinstance(time, (int, float)) or not 0 <= time < 1 << 53:
        return None
    # A kind that this version does not know is passed on; who does not know it passes over it.
    return Event(cast(Kind, kind), world, value, float(time)).bounded()
