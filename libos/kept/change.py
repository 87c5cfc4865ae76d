"""What one change is to a person: a line of `libos diff`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from libos.kept.comparing import Found
from libos.kept.entries import attributes, is_directory, kind_word, same_content
from libos.kept.layers import Layers

Letter = Literal["A", "M", "D", "T", "R"]


@dataclass(frozen=True)
class State:
    """A file, directory, link, fifo or socket on one side. `mtime` is in nanoseconds since 1970."""

    type: str
    size: int
    mode: int
    mtime: int


@dataclass(frozen=True)
class Change:
    """One change of one path. `path` is the app's, `host` the host's; `before` is the host's state now,
    `after` what the app made of it. `source` is the path that a rename (R) comes from. `conflict`: the
    host's file is not the one that the app saw."""

    kind: Letter
    path: str
    host: str
    before: State | None
    after: State | None
    source: str | None = None
    conflict: bool = False

    def json(self) -> dict[str, Any]:
        """The change as JSON values. Within version 1 of `libos diff --json` keys are only added."""
        return asdict(self)


@dataclass(frozen=True)
class Entry:
    """A change and what it consists of: one path, or the two of a rename (the new one first)."""

    change: Change
    parts: tuple[Found, ...]


def entries(layers: Layers, found: Iterable[Found]) -> list[Entry]:
    """The changes of one mount, by path. The layers' originals must have been noted as far as known."""
    said = [each for each in found if each.kind in "AMTD" and not _changed_by_host_alone(layers, each)]
    renamed = _renames(layers, said)
    sources = {new.path: old for new, old in renamed}
    gone = {old.path for _, old in renamed}
    listed = [_entry(layers, each, sources.get(each.path)) for each in said if each.path not in gone]
    return sorted(listed, key=lambda entry: entry.parts[0].path.split(b"/"))


def _changed_by_host_alone(layers: Layers, each: Found) -> bool:
    """A directory that differs from the host's for the host's mode changed since: overlayfs copies each
    directory in which the app makes something, with the mode that it has then."""
    if each.kind != "M" or each.upper is None or not stat.S_ISDIR(each.upper.st_mode):
        return False
    was = layers.originals.known.get(os.fsdecode(each.path))
    same_mode = was == [stat.S_IFDIR, layers.upper.mode(each.upper)]
    return same_mode and attributes(layers.upper, each.path) == attributes(layers.lower, each.path)


def _entry(layers: Layers, each: Found, source: Found | None) -> Entry:
    parts = (each,) if source is None else (each, source)
    before = each.lower if source is None else source.lower
    change = Change(
        "R" if source is not None else each.kind,  # type: ignore[arg-type]  # AMTD alone come here
        world_path(layers, each.path),
        os.path.join(layers.pair.host, os.fsdecode(each.path)),
        _state(layers, before, lower=True),
        _state(layers, each.upper, lower=False),
        None if source is None else world_path(layers, source.path),
        any(layers.originals.conflicts(part) for part in parts),
    )
    return Entry(change, parts)


def world_path(layers: Layers, path: bytes) -> str:
    """Where the app sees a path of the mount."""
    return os.path.join(layers.pair.at, os.fsdecode(path)) if path else layers.pair.at


def _state(layers: Layers, found: os.stat_result | None, *, lower: bool) -> State | None:
    if found is None:
        return None
    mode = (layers.lower if lower else layers.upper).mode(found)
    size = 0 if stat.S_ISDIR(found.st_mode) else found.st_size
    return State(kind_word(found), size, mode, found.st_mtime_ns)


def _renames(layers: Layers, said: list[Found]) -> list[tuple[Found, Found]]:
    """New files with exactly the content of a file that is gone: overlayfs keeps no better trace. Each file
    that is gone is taken once; empty files tell nothing."""
    gone: dict[int, list[Found]] = {}
    for each in said:
        if each.kind == "D" and each.lower is not None and stat.S_ISREG(each.lower.st_mode):
            gone.setdefault(each.lower.st_size, []).append(each)
    found = []
    for each in said:
        if each.kind != "A" or is_directory(each.upper) or each.upper is None or not each.upper.st_size:
            continue
        if not stat.S_ISREG(each.upper.st_mode):
            continue
        candidates = gone.get(each.upper.st_size, [])
        for old in candidates:
            if same_content((layers.upper, each.path), (layers.lower, old.path)):
                candidates.remove(old)
                found.append((each, old))
                break
    return found
