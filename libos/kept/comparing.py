"""What stands in an upper layer, entry by entry, and what that means for the lower tree.

Rules: parents come before what is below them. Each entry of the upper layer is given, also those that change
nothing (a file that was opened for writing and left as it was): "=". What a whiteout or an opaque directory
hides is given name by name, so that each can be chosen by itself; what goes with a directory that became
something else is "-".
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from libos.kept.entries import is_directory, is_foreign, is_opaque, is_whiteout, same
from libos.kept.errors import ChangesError
from libos.kept.tree import ABSENT, Tree, join

# Added, modified, of another type, deleted; unchanged, and gone with the directory above it.
Kind = Literal["A", "M", "T", "D", "=", "-"]


@dataclass(frozen=True)
class Found:
    """One path: what the app made of it (`upper`; None: gone), and what the host has now (`lower`)."""

    kind: Kind
    path: bytes
    upper: os.stat_result | None
    lower: os.stat_result | None


def compare(upper: Tree, lower: Tree) -> Iterator[Found]:
    """All that the upper layer says. Raises OSError; ChangesError for what libos never lets overlayfs
    make."""
    top, original = os.fstat(upper.fd), os.fstat(lower.fd)
    yield Found("=" if same(upper, lower, b"", top, original) else "M", b"", top, original)
    waiting = [(b"", False)]
    while waiting:
        path, hidden = waiting.pop()
        hidden = hidden or is_opaque(upper, path)
        below = _while_there(partial(_directory, upper, lower, path, hidden))
        yield from below
        waiting += [
            (each.path, hidden)
            for each in reversed(below)
            if each.kind not in "D-" and _goes_down(each, path)
        ]


def _while_there(look: Callable[[], Iterator[Found]]) -> list[Found]:
    """What a look finds; nothing where it is gone before the look ends, as while an app runs."""
    try:
        return list(look())
    except OSError as error:
        if error.errno in ABSENT:
            return []
        raise


def _goes_down(each: Found, path: bytes) -> bool:
    return is_directory(each.upper) and each.path.rpartition(b"/")[0] == path


def _directory(upper: Tree, lower: Tree, path: bytes, hidden: bool) -> Iterator[Found]:
    merged = is_directory(lower.stat(path))
    names = upper.names(path)
    for name in names:
        child = join(path, name)
        original = lower.stat(child) if merged else None
        yield from _while_there(partial(_entry, upper, lower, child, original))
    if hidden and merged:
        for name in sorted(set(lower.names(path)) - set(names)):
            yield from gone(lower, join(path, name), "D")


def _entry(upper: Tree, lower: Tree, path: bytes, original: os.stat_result | None) -> Iterator[Found]:
    found = upper.stat(path)
    if found is None:
        return  # gone since it was listed: an app runs
    if is_whiteout(upper, path, found):
        yield from gone(lower, path, "D") if original is not None else ()
        return
    if is_foreign(upper, path):
        raise ChangesError(f"{os.fsdecode(path)}: this folder of changes was not written by libos")
    if original is None:
        yield Found("A", path, found, None)
    elif stat.S_IFMT(found.st_mode) != stat.S_IFMT(original.st_mode):
        yield Found("T", path, found, original)
        if is_directory(original):
            for name in lower.names(path):
                yield from gone(lower, join(path, name), "-")
    else:
        kind: Kind = "=" if same(upper, lower, path, found, original) else "M"
        yield Found(kind, path, found, original)


def gone(lower: Tree, path: bytes, kind: Kind) -> Iterator[Found]:
    """A path of the lower tree that the app does not see any more, with all below it."""
    waiting = [path]
    while waiting:
        path = waiting.pop()
        found = lower.stat(path)
        if found is None:
            continue
        yield Found(kind, path, None, found)
        if stat.S_ISDIR(found.st_mode):
            waiting += [join(path, name) for name in reversed(lower.names(path))]
