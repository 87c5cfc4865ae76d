"""Writing chosen changes to the host: the plan of a commit, and its course.

The order: what changed meanwhile is looked for, all mounts are prepared, then all are applied. Whatever fails
before the first rename leaves the host as it was.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from libos.kept import upper
from libos.kept.building import Builder, Inode
from libos.kept.change import Change, Entry, State
from libos.kept.comparing import Found
from libos.kept.entries import is_directory
from libos.kept.errors import ChangesError, ConflictError
from libos.kept.faults import reached
from libos.kept.journal import Journal
from libos.kept.layers import Layers
from libos.kept.steps import Step, state
from libos.kept.tree import above, join


@dataclass(frozen=True)
class Chosen:
    """What is to be committed of one mount: of all that was found there, these entries."""

    layers: Layers
    found: Sequence[Found]
    entries: Sequence[Entry]


def commit(chosen: Sequence[Chosen], *, force: bool) -> list[str]:
    """Write the entries to the host, and give the paths that another writer took while that went on. The
    store must be locked. ConflictError, ChangesError, after which the host is as it was."""
    if not force:
        _refuse_conflicts(chosen)
    journals: list[Journal] = []
    try:
        for each in chosen:
            upper.spell_out(each.layers.upper, each.layers.lower)
            _prepare(each, journals)
        for journal in journals:
            journal.save("apply")
    except (OSError, ChangesError) as error:
        _undo(journals)
        if isinstance(error, OSError):
            raise ChangesError(_failure(error)) from error
        raise
    return _finish(journals)


def _finish(journals: Sequence[Journal]) -> list[str]:
    others: list[str] = []
    for journal in journals:
        try:
            others += [os.path.join(journal.layers.pair.host, step.path) for step in journal.finish()]
        except OSError as error:
            raise ChangesError(
                f"the commit stopped midway: {error.strerror}; each file is old or new, and the next call of "
                "libos commit finishes it"
            ) from error
    return others


def _undo(journals: Sequence[Journal]) -> None:
    for journal in journals:
        try:
            journal.undo()
        except OSError:
            pass  # its journal stays: the next call undoes it


def _failure(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "there is no room for the commit on the disk; nothing was changed: make room, and call again"
    name = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    return f"nothing was committed: {name}{error.strerror}"


# --- preparing


def _prepare(chosen: Chosen, journals: list[Journal]) -> None:
    layers = chosen.layers
    parts = {part.path: part for entry in chosen.entries for part in entry.parts}
    planned = _plan(parts)
    linked, links = _further_names(chosen, parts)
    journal = Journal(layers, planned, linked)
    journal.save("prepare")
    journals.append(journal)
    builder = Builder(layers.upper, layers.lower, _made(parts), links, reached)
    for step in planned:
        if step.op == "place":
            try:
                step.inode = builder.build(os.fsencode(step.path), os.fsencode(step.temp))
            except PermissionError as error:
                folder = os.path.dirname(os.path.join(layers.pair.host, step.path))
                raise ChangesError(
                    f"nothing was committed: {folder} cannot be written ({error.strerror}); "
                    f"you may want: chmod u+w {folder}"
                ) from error
    builder.sync()


def _made(parts: dict[bytes, Found]) -> dict[bytes, Found]:
    return {path: part for path, part in parts.items() if part.upper is not None}


def _plan(parts: dict[bytes, Found]) -> list[Step]:
    """The steps, what is placed first: so a rename's file is at its new place before it leaves the old."""
    token = secrets.token_hex(6)
    steps: dict[bytes, Step] = {}
    for path in sorted(parts, key=lambda path: path.split(b"/")):
        part = parts[path]
        if part.kind == "M" and is_directory(part.upper):
            steps[path] = Step("set", os.fsdecode(path), old=state(part.lower))
        elif any(_covers(parts.get(folder), part) for folder in above(path)):
            top = next(folder for folder in above(path) if folder in steps and steps[folder].op != "set")
            steps[top].clears.append(os.fsdecode(path))
        else:
            temp = join(path.rpartition(b"/")[0], f".libos-{token}-{len(steps)}".encode())
            steps[path] = Step(
                "remove" if part.upper is None else "place",
                os.fsdecode(path),
                os.fsdecode(temp),
                state(part.lower),
                clears=[os.fsdecode(path)],
            )
    return sorted(steps.values(), key=lambda step: ("place", "set", "remove").index(step.op))


def _covers(folder: Found | None, part: Found) -> bool:
    """Whether a directory that is made, or that goes, brings or takes what stands in it."""
    if folder is None:
        return False
    if part.upper is None:
        return folder.upper is None
    return folder.kind in "AT" and is_directory(folder.upper)


def _further_names(chosen: Chosen, parts: dict[bytes, Found]) -> tuple[list[str], dict[Inode, bytes]]:
    """Paths that are left alone but share an inode with what a commit touches, on either side, and where a
    file that is hard-linked in the upper layer stands on the host unchanged."""
    linked: list[str] = []
    links: dict[Inode, bytes] = {}
    for each in chosen.found:
        lower = each.lower
        if each.path in parts or lower is None or stat.S_ISDIR(lower.st_mode):
            continue
        if chosen.layers.originals.conflicts(each):
            continue
        kept_name = each.kind == "=" and each.upper is not None and each.upper.st_nlink > 1
        if kept_name or lower.st_nlink > 1:
            linked.append(os.fsdecode(each.path))
        if kept_name and each.upper is not None:
            links[each.upper.st_dev, each.upper.st_ino] = each.path
    return linked, links


# --- what changed meanwhile


def _refuse_conflicts(chosen: Sequence[Chosen]) -> None:
    lines: list[str] = []
    for each in chosen:
        for change in _conflicts(each):
            lines += [
                f"{change.path} is not on the host what the app saw:",
                f"    the host's   {describe(change.before)}   {change.host}",
                f"    the app's    {describe(change.after)}",
            ]
    if lines:
        raise ConflictError(
            "\n".join(lines) + "\nnothing was committed; look with --patch, then commit with --force, "
            "or discard the app's"
        )


def _conflicts(chosen: Chosen) -> list[Change]:
    taken = [entry.change for entry in chosen.entries if entry.change.conflict]
    covered = [entry for entry in chosen.entries if entry.change.kind == "T"]
    for entry in covered:
        top = entry.parts[0].path + b"/"
        below = (each for each in chosen.found if each.kind == "-" and each.path.startswith(top))
        if entry.change not in taken and any(map(chosen.layers.originals.conflicts, below)):
            taken.append(entry.change)
    return taken


def describe(side: State | None) -> str:
    """One side of a change in a few words."""
    if side is None:
        return "absent"
    moment = datetime.fromtimestamp(side.mtime / 1e9).astimezone().isoformat(" ", "seconds")
    size = f"{side.size} bytes, " if side.type == "file" else ""
    return f"{side.type}, {size}{moment}"
