"""Where `--events` goes: a file or a descriptor of the caller's, one JSON object a line.

Rules: a reader that is slow must not stop the world, so what may block is written in a thread of its own,
whole lines at a time; a reader that has gone, or a full disk, ends the writing with one message and leaves
the app alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator

import click
import trio

from libos.cli.show import say
from libos.events import Event

# A file is made or emptied; several writers of one file do not overwrite each other.
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
# Seconds that a reader gets for one event before it is given up: long for a pipe's other end, short for a
# person.
_PATIENCE_SECONDS = 30.0


@contextlib.contextmanager
def open_event_file(where: str) -> Iterator[EventFile]:
    """Open a file (made, or emptied) or, for a number, the caller's descriptor. Raises click.UsageError."""
    fd = _open(where)
    try:
        yield EventFile(fd, where)
    finally:
        os.close(fd)


def _open(where: str) -> int:
    if where in ("", "-"):
        raise click.UsageError(f"--events {where}: name a file, or a descriptor by its number, such as 2")
    try:
        if not where.isdigit():
            return os.open(where, _FLAGS, 0o666)
        if fcntl.fcntl(int(where), fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise click.UsageError(f"--events {where}: the descriptor is open for reading only")
        return fcntl.fcntl(int(where), fcntl.F_DUPFD_CLOEXEC, 3)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "there is no such descriptor"
        raise click.UsageError(f"--events {where}: {reason}") from error


class EventFile:
    """Writes events; one task at a time. The descriptor belongs to `open_event_file`."""

    def __init__(self, fd: int, where: str) -> None:
        self._fd = fd
        self._where = where
        self._blocks = not stat.S_ISREG(os.fstat(fd).st_mode)
        self._given_up = False

    async def write(self, event: Event) -> None:
        """Write one event's line; after a failure nothing is written any more."""
        if self._given_up:
            return
        line = event.json().encode() + b"\n"
        try:
            with trio.fail_after(_PATIENCE_SECONDS):
                if self._blocks:
                    await trio.to_thread.run_sync(_write_all, self._fd, line, abandon_on_cancel=True)
                else:
                    _write_all(self._fd, line)
        except (OSError, trio.TooSlowError) as error:
            self._given_up = True
            reason = getattr(error, "strerror", None) or "nobody reads"
            say(f"--events {self._where}: {reason}; no further events are written")


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
