"""Files that a command of the command line writes at its end: looked at before the work, replaced as a
whole."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress

from libos.errors import LibosError


class UnwritableError(LibosError):
    """A file that was asked for cannot be written."""

    exit_status = 2


def check_writable(path: str, option: str) -> None:
    """Say before the work that a file cannot be written after it. Raises UnwritableError."""
    folder = os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path) or not os.access(folder, os.W_OK | os.X_OK):
        raise UnwritableError(f"{option} {path}: cannot be written: name a file in a folder of yours")


def replace_file(path: str, text: str, option: str = "", look: Callable[[str], None] | None = None) -> None:
    """Write a file as a whole: it is there complete, or as it was. `look` gets the path of what is written
    before it takes its place, and may raise. Raises UnwritableError."""
    real, named = os.path.realpath(path), f"{option} {path}".strip()
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise UnwritableError(f"{named}: a name that would stand in it is not UTF-8") from error
    try:
        was = os.stat(real) if os.path.exists(real) else None
        made_fd, made = tempfile.mkstemp(
            dir=os.path.dirname(real), prefix=f".{os.path.basename(real)[:100]}."
        )
        try:
            with open(made_fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                _take_over(file.fileno(), was)
            if look is not None:
                look(made)
            os.replace(made, real)
        except BaseException:
            os.unlink(made)
            raise
    except OSError as error:
        raise UnwritableError(f"{named}: {error.strerror}") from error


def _take_over(file_fd: int, was: os.stat_result | None) -> None:
    """Give a file the mode of the one that it replaces, its owner where root writes, and its group where this
    user may; or a new file's mode."""
    if was is not None and os.geteuid() == 0:
        os.fchown(file_fd, was.st_uid, was.st_gid)
    elif was is not None and was.st_gid != os.getegid():
        with suppress(PermissionError):
            os.fchown(file_fd, -1, was.st_gid)
    os.fchmod(file_fd, 0o666 & ~_umask() if was is None else stat.S_IMODE(was.st_mode))


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
