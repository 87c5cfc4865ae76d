"""Where the events come from: a running world, or a file that may still grow.

Rules: nothing is asked again and again: the control socket, and inotify(7) for a file, wake the loop. So much
is taken at a time that drawing and keys have their turn in between, and nothing is queued here: what is not
taken waits in the socket, and beyond that in the supervisor, which says how many it dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from libos.control.folder import ControlError, open_folder
from libos.control.following import Following
from libos.events import Event
from libos.kernel import inotify
from libos.seen.reading import EventLines, EventsError

# Bytes of a file that are taken at a time.
_CHUNK = 64 * 1024
# What inotify tells of a file whose directory is watched.
_CHANGES = inotify.MODIFY | inotify.CLOSE_WRITE

Take = Callable[[list[Event]], None]


class Source(Protocol):
    """Gives events while it is `followed`. `name` is the world's or the file's; `over` says that no more can
    come; `why_not_running` why commands cannot reach a world, or ""; `trouble` what went wrong, or ""."""

    name: str
    over: bool
    trouble: str

    @property
    def why_not_running(self) -> str: ...

    def followed(self, take: Take) -> contextlib.AbstractContextManager[None]:
        """Hand events to `take` from the running loop's own turns, until the block ends. It gets an empty
        list when `over` has changed."""
        ...


class WorldSource:
    """A running world. Raises ControlError where there is none of that name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.over = False
        self.trouble = ""
        with open_folder() as folder:
            self._following = Following(folder, name)

    @property
    def why_not_running(self) -> str:
        return "the world has ended" if self.over else ""

    @contextlib.contextmanager
    def followed(self, take: Take) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        fd = self._following.fileno()

        def readable() -> None:
            try:
                events = self._following.take()
            except ControlError as error:
                self.trouble, events = str(error), []
            if self._following.ended or self.trouble:
                self.over = True
                loop.remove_reader(fd)
            take(events)

        take(self._following.pending())
        loop.add_reader(fd, readable)
        try:
            yield
        finally:
            if not self.over:
                loop.remove_reader(fd)
            self._following.close()


class FileSource:
    """An event file, read to its end and followed while it grows. Raises EventsError where it cannot be
    opened."""

    def __init__(self, path: str) -> None:
        self.name = self.path = path
        self.over = False
        self.trouble = ""
        try:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise EventsError(f"{self.path}: {error.strerror}") from error
        if stat.S_ISDIR(os.fstat(self._fd).st_mode):
            os.close(self._fd)
            raise EventsError(f"{self.path}: {os.strerror(errno.EISDIR)}")
        self._lines = EventLines(self.path)

    @property
    def why_not_running(self) -> str:
        return "this is an event file; the key needs a running world: libos watch NAME"

    @contextlib.contextmanager
    def followed(self, take: Take) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        inotify_fd = inotify.opened()
        reading: asyncio.Task[None] | None = None

        def changed() -> None:
            nonlocal reading
            if inotify.read(inotify_fd) and (reading is None or reading.done()):
                reading = loop.create_task(self._read(take))

        try:
            folder = os.fsencode(Path(self.path).resolve().parent)
            with contextlib.suppress(OSError):  # then it is read as it is
                inotify.add(inotify_fd, folder, _CHANGES)
            loop.add_reader(inotify_fd, changed)
            reading = loop.create_task(self._read(take))
            yield
        finally:
            loop.remove_reader(inotify_fd)
            os.close(inotify_fd)
            if reading is not None:
                reading.cancel()
            self.close()

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    async def _read(self, take: Take) -> None:
        try:
            while data := os.read(self._fd, _CHUNK):
                events = list(self._lines.feed(data))
                if wrong := self._lines.garbage + self._lines.long:
                    self.trouble = f"{wrong} line{' is no event' if wrong == 1 else 's are no events'}"
                take(events)
                await asyncio.sleep(0)
            self._refuse_if_anew()
        except (OSError, EventsError) as error:
            self.trouble, self.over = str(error), True
            take([])

    def _refuse_if_anew(self) -> None:
        found = os.fstat(self._fd)
        if stat.S_ISREG(found.st_mode) and found.st_size < os.lseek(self._fd, 0, os.SEEK_CUR):
            raise EventsError("the file was begun anew; look at it anew")


def source_of(what: str | None) -> WorldSource | FileSource:
    """What a person named: a running world, else an event file; the only running world where nothing is
    named. Raises ControlError, EventsError."""
    if what is None:
        return WorldSource(_the_only_one())
    if "/" in what or what.endswith((".jsonl", ".events")):
        return FileSource(what)
    try:
        return WorldSource(what)
    except ControlError:
        if Path(what).exists():
            return FileSource(what)
        raise


def _the_only_one() -> str:
    with open_folder() as folder:
        folder.sweep()
        names = folder.names()
    if len(names) == 1:
        return names[0]
    if not names:
        raise ControlError("no world is running; libos watch FILE shows an event file")
    raise ControlError(f"several worlds run; say which: {', '.join(names)}")
