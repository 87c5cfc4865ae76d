"""Where events come from: a running world, or an event file, also while it grows.

Rules: nothing waits on the trio thread. A file is looked at every PAUSE_SECONDS in a thread, since a pipe's
read has no other end, and since nobody tells of a file that another machine writes.
"""

from __future__ import annotations

from collections.abc import Iterator

import trio

from libos.control.following import Following
from libos.events import Event
from libos.seen.files import EventFile
from libos.view.showing import Showing

# Seconds between two looks at a file that does not grow.
PAUSE_SECONDS = 0.04
# Events taken at once, before browsers are served again.
_MOST = 1000


async def show_world(following: Following, showing: Showing) -> None:
    """Show what a running world tells, its history first, until it ends. Raises ControlError."""
    showing.take(following.pending())
    while not following.ended:
        await trio.lowlevel.wait_readable(following)
        showing.take(following.take())
    showing.finish()


async def show_file(file: EventFile, showing: Showing) -> None:
    """Show what stands in a file and what comes, until cancelled; what a file that was emptied held before is
    forgotten. Raises EventsError."""
    events = file.follow(PAUSE_SECONDS)
    lines = file.lines
    while True:
        some = await trio.to_thread.run_sync(_some, events, abandon_on_cancel=True)
        if file.lines is not lines:
            lines = file.lines
            showing.forget()
        showing.notes = lines.notes()
        if some:
            showing.take(some)


def _some(events: Iterator[Event | None]) -> list[Event]:
    """The next events, as many as are there, at most _MOST; none when nothing has come for a while."""
    found: list[Event] = []
    for event in events:
        if event is None:
            break
        found.append(event)
        if len(found) >= _MOST:
            break
    return found
