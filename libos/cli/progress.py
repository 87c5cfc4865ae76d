"""One line of a terminal that says how far something is; nothing where standard error is none."""

from __future__ import annotations

import os
import sys

# Columns of a terminal that does not say.
_COLUMNS = 80


class StatusLine:
    """A line on standard error that each `show` replaces, and `clear` takes away. Never fails."""

    def __init__(self) -> None:
        self._on_terminal = sys.stderr.isatty()
        self._shown = False

    def show(self, text: str) -> None:
        """Show a text that is harmless, as much of it as fits in one line."""
        if self._on_terminal:
            self._shown = True
            self._write(f"\r\x1b[K{text[: _columns() - 1]}")

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            self._shown = False
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:
            pass  # nobody listens


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _COLUMNS
    except OSError:
        return _COLUMNS
