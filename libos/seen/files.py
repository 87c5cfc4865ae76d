"""Event files: read to the end in bounded memory, or followed while they grow."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from libos.events import Event
from libos.seen.reading import EventLines, EventsError

# Bytes read at a time.
_CHUNK = 256 * 1024
# Seconds between two looks at a file that is followed: sooner than a person notices.
PAUSE_SECONDS = 0.1


class EventFile:
    """An event file that is open: iterate over it, or `follow` it. `lines` says what was wrong in it."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self.lines = EventLines(name)

    def __iter__(self) -> Iterator[Event]:
        """Every event, to the end of the file. Raises EventsError, OSError."""
        while data := self._read():
            yield from self.lines.feed(data)
        yield from self.lines.end()

    def follow(self, pause: float = PAUSE_SECONDS) -> Iterator[Event | None]:
        """Every event that is there and that comes, without end; None where nothing has come for `pause`
        seconds. A file that was emptied is read anew from its beginning. Raises EventsError,
        OSError."""
        while True:
            if data := self._read():
                yield from self.lines.feed(data)
            elif self._emptied():
                self._file.seek(0)
                self.lines = EventLines(self.lines.name)
            else:
                yield None
                time.sleep(pause)

    def _read(self) -> bytes:
        try:
            return os.read(self._file.fileno(), _CHUNK)
        except OSError as error:
            raise EventsError(f"{self.lines.name}: {error.strerror}") from error

    def _emptied(self) -> bool:
        fd = self._file.fileno()
        try:
            return os.fstat(fd).st_size < os.lseek(fd, 0, os.SEEK_CUR)
        except OSError:  # a pipe
            return False


@contextmanager
def open_events(path: str) -> Iterator[EventFile]:
    """Open an event file; "-" is standard input. Raises EventsError."""
    if path == "-":
        yield EventFile(sys.stdin.buffer, "standard input")
        return
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed below
    except OSError as error:
        remedy = "; libos run --events FILE writes one" if isinstance(error, FileNotFoundError) else ""
        raise EventsError(f"{path}: {error.strerror}{remedy}") from error
    with file:
        yield EventFile(file, path)


def read_events(path: str) -> Iterator[Event]:
    """The events of a file, for who does not care what else is in it. Raises EventsError."""
    with open_events(path) as file:
        yield from file
