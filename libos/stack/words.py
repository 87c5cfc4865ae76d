"""The small grammars of stack files; see `libos.manifest.values`."""

from __future__ import annotations

import re
import signal

# A world's name is a host name inside the others (RFC 1035, section 2.3.4), and with the stack's before it
# the name of a control socket.
_NAME = r"[a-z0-9]([a-z0-9-]{0,29}[a-z0-9])?"


def world(value: str) -> str:
    """The name of a world of a stack, or of the stack."""
    if not re.fullmatch(_NAME, value):
        raise ValueError(
            f'"{value}" is no name for a world: use up to 31 lower-case letters, digits and inner hyphens'
        )
    if value == "localhost":
        raise ValueError('"localhost" means every world itself: choose another name')
    return value


def line(value: str) -> str:
    """A text that a line may contain."""
    if not value or "\n" in value:
        raise ValueError("a text within one line, and not an empty one")
    return value


def files(value: int) -> int:
    """A number of files: 1 to 100."""
    if not 1 <= value <= 100:
        raise ValueError(f"{value} is out of range: it is 1 to 100")
    return value


def signal_number(value: str) -> int:
    """The number of a signal's name: "SIGINT", "INT"."""
    name = value.upper() if value.upper().startswith("SIG") else f"SIG{value.upper()}"
    try:
        return int(signal.Signals[name])
    except KeyError:
        raise ValueError(f'"{value}" is no signal: write one by name, as "SIGINT"') from None
