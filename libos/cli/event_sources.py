"""Where a view's events come from: a running world by its name, or a file.

Rule: what stands on the command line is a file where it is written as one (with a "/" where no such world
runs, or "-" for standard input) or is there and no such world runs; else it is a world's name.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from libos.cli.show import say
from libos.events import Event

if TYPE_CHECKING:
    from libos.control.following import Following
    from libos.seen import EventFile

# None between events where nothing has come for a while: a good moment to flush, or to draw.
Events = Iterator[Event | None]


@contextmanager
def open_source(name: str, *, follow: bool) -> Iterator[Events]:
    """Open a source: every event until now, and with `follow` those that come, until the world has ended.
    What was wrong in a file is said at the end. Raises EventsError, ControlError."""
    from libos.seen import open_events

    if not is_file(name):
        from libos.control.folder import open_folder
        from libos.control.following import Following

        with open_folder() as folder, Following(folder, name) as following:
            yield _of_world(following) if follow else iter(following.kept())
        return
    with open_events(name) as file:
        try:
            yield _of_growing(file) if follow else iter(file)
        finally:
            for note in file.lines.notes():
                say(note)


def is_file(name: str) -> bool:
    """Whether a word on the command line means a file."""
    if name == "-" or name.startswith(("/", "./", "../")):
        return True
    if "/" in name:  # of a world below another one, or a file in a folder
        return name not in _running()
    return os.path.exists(name) and name not in _running()


def _running() -> list[str]:
    from libos.control.folder import ControlError, open_folder

    try:
        with open_folder() as folder:
            return folder.names()
    except ControlError:
        return []


def _of_world(following: Following) -> Events:
    yield from following.pending()
    while not following.ended:
        ready, _, _ = select.select([following], [], [], 0)
        if not ready:
            yield None
        yield from following.take()


def _of_growing(file: EventFile) -> Events:
    """A file's events until each world that started in it has ended."""
    running: set[str | None] = set()
    started = False
    for event in file.follow():
        yield event
        if event is None:
            if started and not running:
                return
        elif event.kind == "app.start":
            started = True
            running.add(event.world)
        elif event.kind == "app.exit":
            started = True
            running.discard(event.world)
