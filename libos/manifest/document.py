"""One document: raw values, where they come from, and the place of each.

A document is a file, a profile, a mapping, or the `--include` options; only files have places. The rest of
the package asks it for problems and origins, and so needs not know which one it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from libos.manifest.problems import Problem, UnreadableError

if TYPE_CHECKING:
    from libos.manifest.positions import Path


class Places(Protocol):
    """Where keys and values stand; see `Positions`."""

    def key(self, path: Path) -> tuple[int, int]: ...

    def value(self, path: Path) -> tuple[int, int]: ...


@dataclass(frozen=True)
class Document:
    """Raw values and where they come from. `base` is the folder of relative host paths and includes."""

    source: str
    raw: Mapping[str, Any]
    base: str
    positions: Places | None = None
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


def mapping_document(mapping: Mapping[str, Any], base: str) -> Document:
    """The document that a Python mapping says. UnreadableError for one that contains itself, or is none."""
    if not isinstance(mapping, Mapping):
        message = f"a manifest is a table, not a {type(mapping).__name__}"
        raise UnreadableError(Problem("manifest", 0, 0, message))
    try:
        return Document("manifest", _plain(mapping), base)
    except RecursionError:
        message = "nested without end: a manifest does not contain itself"
        raise UnreadableError(Problem("manifest", 0, 0, message)) from None


def _plain(value: Any) -> Any:
    """A mapping with only dicts, lists and scalars in it; nodes and functions stay as they are."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value
