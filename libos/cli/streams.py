"""The command line's own standard streams.

Rules:
- Each of the three is open: the number of one that the caller closed would go to the next file that libos
  opens, which would then pass for the app's stream.
- Standard output that cannot be written is one message and status 125, wherever it is noticed; a reader
  that has seen enough (head) is a BrokenPipeError as ever.
- What the terminal's encoding lacks is printed as an escape.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any

from libos.errors import LibosError


class OutputError(LibosError):
    """Standard output does not take what is printed."""


def open_all() -> None:
    """Open /dev/null for each standard stream that is closed, and take standard output over."""
    for fd, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            _open_null(fd)
            setattr(sys, name, open(fd, mode, closefd=False))  # noqa: SIM115 - as long as the process
    raw = _Output(sys.stdout.fileno(), "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=sys.stdout.encoding, errors="backslashreplace"
    )


def _open_null(number: int) -> None:
    """Open /dev/null as this descriptor, to be inherited as a standard stream is."""
    fd = os.open(os.devnull, os.O_RDWR)
    if fd == number:
        os.set_inheritable(fd, True)
    else:
        os.dup2(fd, number)
        os.close(fd)


class _Output(io.FileIO):
    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"standard output: {error.strerror}") from error
