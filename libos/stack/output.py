"""What the worlds of a stack print: cut into lines, one record a line, kept on disk within a bound.

Rules:
- A record is one line of JSON: time (UTC), world, stream, line. Bytes that are not UTF-8 are shown escaped.
- A line longer than LINE_MOST is cut into several records: a program that prints no newline costs no memory.
- The newest file is `log.jsonl`; when it is full it becomes `log.jsonl.1`, and so on; the oldest one goes.
- A disk that is full loses records, which a record tells once there is room again, and never stops a world.
"""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

import trio

from libos.errors import SupervisorError

log = logging.getLogger("libos.stack")

FILE = "log.jsonl"
# Bytes of one record's text.
LINE_MOST = 16 * 1024
_READ = 64 * 1024


def folder_of(stack: str) -> Path:
    """Where a stack's records are: $XDG_STATE_HOME/libos/stacks/NAME, ~/.local/state where it is unset."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return base / "libos" / "stacks" / stack


def files_of(stack: str) -> list[Path]:
    """The files of a stack that are there, oldest first."""
    folder = folder_of(stack)
    found = [path for path in folder.glob(f"{FILE}*") if path.name.removeprefix(f"{FILE}.").isdigit()]
    found.sort(key=lambda path: -int(path.name.rpartition(".")[2]))
    newest = folder / FILE
    return [*found, newest] if newest.exists() else found


async def lines(stream: trio.abc.ReceiveStream) -> AsyncGenerator[bytes, None]:
    """Each line of a stream without its end; what is longer than LINE_MOST in parts."""
    rest = bytearray()
    while data := await stream.receive_some(_READ):
        rest += data
        while True:
            end = rest.find(b"\n", 0, LINE_MOST + 1)
            if end >= 0:
                yield bytes(rest[:end]).removesuffix(b"\r")
                del rest[: end + 1]
            elif len(rest) > LINE_MOST:
                yield bytes(rest[:LINE_MOST])
                del rest[:LINE_MOST]
            else:
                break
    if rest:
        yield bytes(rest)


class LogBook:
    """The records of one stack on disk. `add` never raises."""

    def __init__(self, stack: str, size: int, files: int) -> None:
        """Raises SupervisorError where the folder cannot be had."""
        self._path = folder_of(stack) / FILE
        self._size = size
        self._files = files
        self._lost = 0
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self._path.parent.stat()
            if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode):
                raise PermissionError(1, "not a folder of yours")
            self._fd = self._open()
        except OSError as error:
            raise SupervisorError(
                f"no log can be kept in {self._path.parent}: {error.strerror}; "
                "set XDG_STATE_HOME to a folder of yours"
            ) from error

    def add(self, world: str, stream: str, text: str) -> dict[str, str]:
        """Keep one record; gives it."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        record = {"time": now, "world": world, "stream": stream, "line": text}
        self._write(record)
        return record

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _write(self, record: dict[str, str]) -> None:
        data = json.dumps(record).encode() + b"\n"
        if self._lost:
            told = {**record, "stream": "libos", "line": f"{self._lost} records could not be written"}
            data = json.dumps(told).encode() + b"\n" + data
        try:
            place = os.fstat(self._fd).st_size
            if place and place + len(data) > self._size:
                self._turn()
                place = 0
            if os.write(self._fd, data) < len(data):
                os.ftruncate(self._fd, place)  # half a record is none
                raise OSError(28, "the disk is full")
            self._lost = 0
        except OSError as error:
            if not self._lost:
                log.warning("%s: %s", self._path, error)
            self._lost += 1

    def _turn(self) -> None:
        for number in range(self._files - 1, 0, -1):
            older = Path(f"{self._path}.{number}")
            newer = Path(f"{self._path}.{number - 1}") if number > 1 else self._path
            if newer.exists():
                newer.replace(older)
        if self._files == 1:
            self._path.unlink()
        fd = self._open()
        os.close(self._fd)
        self._fd = fd

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(self._path, flags, 0o600)
