"""One document: raw values, where they come from, and the place of each.

A document is a file, a profile, a mapping, or the `--include` options; only files have places. The rest of
the package asks it for problems and origins, and so needs not know which one it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from libos.manifest.problems import Problem

if TYPE_CHECKING:
    from libos.manifest.positions import Path, Positions


@dataclass(frozen=True)
class Document:
    """Raw values and where they come from. `base` is the folder of relative host paths and includes."""

    source: str
    raw: Mapping[str, Any]
    base: str
    positions: Positions | None = None
    is_file: bool = False

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """A problem at the value (or the key) of a path."""
        if self.positions is None:
            return Problem(self.source, 0, 0, f"{dotted(path)}: {message}" if path else message)
        line, column = self.positions.key(path) if at_key else self.positions.value(path)
        return Problem(self.source, line, column, message)

    def origin(self, path: Path) -> str:
        """Where the entry at a path is written, for messages: "agent.toml:12:1"."""
        if self.positions is None:
            return f"{self.source}: {dotted(path)}"
        line, column = self.positions.value(path)
        return f"{self.source}:{line}:{column}"


def dotted(path: Path) -> str:
    """A path of keys as people write it: mount[0].at."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
