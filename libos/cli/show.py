"""Text for people: what an app chose is made harmless, colour is used only where it can be seen.

Rules: data goes to stdout, everything else to stderr; the most important line comes last. NO_COLOR
(no-color.org) and a descriptor that is no terminal turn colour off.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from libos.harmless import harmless as harmless  # part of what this module offers

# "agent.toml:12:9: ", as compilers write it.
_PLACE = re.compile(r"\S+:\d+:\d+: ")
# Select Graphic Rendition codes, ECMA-48 section 8.3.117.
_BOLD = "1"
_RED = "31"
_GREEN = "32"
_YELLOW = "33"


def coloured(text: str, code: str, stream: TextIO) -> str:
    """Give the text in a colour (an SGR code) where the stream shows colours."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return text
    return f"\x1b[{code}m{text}\x1b[0m"


def good(text: str, stream: TextIO) -> str:
    """Give the text in green."""
    return coloured(text, _GREEN, stream)


def bad(text: str, stream: TextIO) -> str:
    """Give the text in red."""
    return coloured(text, _RED, stream)


def doubtful(text: str, stream: TextIO) -> str:
    """Give the text in yellow."""
    return coloured(text, _YELLOW, stream)


def say(text: str, *, painted: bool = False) -> None:
    """Say something to the person, on stderr, each line after "libos: ". Never fails. It is made harmless
    here, but where it is painted: then who wrote it did that."""
    _write(_prefixed(line, "libos:") for line in (text.split("\n") if painted else _lines(text)))


def say_plain(lines: Iterable[str]) -> None:
    """Say lines to the person, on stderr, that are to be taken over as they stand; made harmless. Never
    fails."""
    _write(map(harmless, lines))


def complain(text: str) -> None:
    """Say an error, its last line being the important one, made harmless. Never fails."""
    *before, last = _lines(text)
    mark = coloured("libos:", f"{_BOLD};{_RED}", sys.stderr)
    _write([*(_prefixed(line, "libos:") for line in before), _prefixed(last, mark)])


def _lines(text: str) -> list[str]:
    # Errors name what an app chose. Not splitlines(): that ends a line at characters that a name may have.
    return [harmless(line) for line in text.removesuffix("\n").split("\n")]


def _prefixed(line: str, mark: str) -> str:
    # What names a place in a file stands alone, so that editors find it.
    return line if _PLACE.match(line) else f"{mark} {line}"


def _write(lines: Iterable[str]) -> None:
    try:
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        sys.stderr.flush()
    except OSError:
        pass  # nobody listens


def columns(rows: Iterable[Sequence[str]], head: Sequence[str] | None = None) -> str:
    """Give rows as aligned columns, two spaces apart; the last column is as long as it is."""
    table = [list(row) for row in rows]
    if head is not None:
        table.insert(0, list(head))
    if not table:
        return ""
    widths = [max(len(row[index]) for row in table) for index in range(len(table[0]) - 1)]
    lines = ("  ".join([*map(str.ljust, row, widths), row[-1]]).rstrip() for row in table)
    return "\n".join(lines)
