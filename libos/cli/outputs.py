"""Files that a command of the command line writes at its end: looked at before the work, replaced as a
whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable

from libos.errors import LibosError


class UnwritableError(LibosError):
    """A file that was asked for cannot be written."""

    exit_status = 2


def check_writable(path: str, option: str) -> None:
    """Say before the work that a file cannot be written after it. Raises UnwritableError."""
    folder = os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path) or not os.access(folder, os.W_OK | os.X_OK):
        raise UnwritableError(f"{option} {path}: cannot be written: name a file in a folder of yours")


def replace_file(path: str, text: str, option: str, look: Callable[[str], None] | None = None) -> None:
    """Write a file as a whole: it is there complete, or as it was. `look` gets the path of what is written
    before it takes its place, and may raise. Raises UnwritableError."""
    real = os.path.realpath(path)
    try:
        mode = os.stat(real).st_mode & 0o777 if os.path.exists(real) else 0o666 & ~_umask()
        made_fd, made = tempfile.mkstemp(dir=os.path.dirname(real), prefix=f".{os.path.basename(real)}.")
        try:
            with open(made_fd, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                os.fchmod(file.fileno(), mode)
                file.flush()
                os.fsync(file.fileno())
            if look is not None:
                look(made)
            os.replace(made, real)
        except BaseException:
            os.unlink(made)
            raise
    except OSError as error:
        raise UnwritableError(f"{option} {path}: {error.strerror}") from error


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
