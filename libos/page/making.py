"""A report from an event file."""

from __future__ import annotations

from libos.page.document import page, sheet
from libos.page.words import shown
from libos.seen import EventsError, Seen, open_events


def report(path: str, world: str | None = None) -> str:
    """Give the page of a run, of this world where one is named. Memory is bounded, however many events there
    are.

    Raises EventsError for a file that cannot be read, that has no event, or none of this world, and where no
    world is named and the events are of several.
    """
    seen = Seen(world)
    with open_events(path) as file:
        for event in file:
            seen.feed(event)
        notes = file.lines.notes()
    _check(path, seen)
    return page(sheet(seen, notes=notes))[0]


def _check(path: str, seen: Seen) -> None:
    names = ", ".join(shown(name, 60) for name in list(seen.worlds)[:20])
    if seen.world is not None and seen.world not in seen.worlds:
        there = f"there are: {names}" if names else "it has no events"
        raise EventsError(f"{path}: no event is of a world {seen.world!r}; {there}")
    if seen.world is None and len(seen.worlds) > 1:
        raise EventsError(f"{path}: the events are of several worlds: choose one with --world: {names}")
    if not seen.events:
        raise EventsError(f"{path}: there is no event in it; libos run --events FILE writes some")
