"""The steps of a commit, as data that a journal keeps, and what each does to the host's tree.

Rules: a step's effect appears by one rename; what is prepared stands beside its place under a name of the
commit's own (`temp`). Doing a step again does nothing. A place that holds neither what the commit found nor
what it put there belongs to somebody else and stays.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from libos.kept.building import set_attributes
from libos.kept.entries import attributes, wanted_mode
from libos.kept.faults import reached
from libos.kept.removing import remove
from libos.kept.tree import Tree
from libos.kernel import files

# Kind, inode, size and time of change; for a directory its kind alone. Without ctime, which a commit changes
# itself where files have several names.
State = list[int] | None


@dataclass
class Step:
    """`place` puts `temp` at `path`, `remove` takes `path` away, `set` gives a directory mode and attributes.

    `old` is what stood there, `inode` the prepared file's number; `clears` are the paths that the upper layer
    does not speak of any more once the step is done.
    """

    op: Literal["place", "remove", "set"]
    path: str
    temp: str = ""
    old: State = None
    inode: int = 0
    clears: list[str] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        return asdict(self)


def state(found: os.stat_result | None) -> State:
    """What a step compares."""
    if found is None:
        return None
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFDIR:
        return [kind]
    return [kind, found.st_ino, found.st_size, found.st_mtime_ns]


def apply(step: Step, upper: Tree, lower: Tree) -> bool:
    """Do a step, or what is left of it; False where its place is somebody else's now. Raises OSError."""
    match step.op:
        case "place":
            return _place(step, lower)
        case "remove":
            return _remove(step, lower)
        case "set":
            return _set(step, upper, lower)


def undo(step: Step, lower: Tree) -> None:
    """Take away what was prepared for a step that was not applied. Raises OSError."""
    if step.temp:
        remove(lower, os.fsencode(step.temp))


def _place(step: Step, lower: Tree) -> bool:
    path, temp = os.fsencode(step.path), os.fsencode(step.temp)
    now, prepared = lower.stat(path), lower.stat(temp)
    done = now is not None and now.st_ino == step.inode
    mine = done or (prepared is not None and state(now) == step.old)
    if not done and mine:
        assert prepared is not None
        with lower.parent(path) as (parent_fd, name):
            _put(parent_fd, temp.rpartition(b"/")[2], name, now, prepared)
        reached("placed")
    remove(lower, temp)  # what was exchanged, or a copy that cannot be placed
    reached("tidied")
    return mine


def _put(
    parent_fd: int, temp: bytes, name: bytes, now: os.stat_result | None, prepared: os.stat_result
) -> None:
    """Rename over what is there: by exchange where a directory changes places with something else."""
    exchange = now is not None and (stat.S_ISDIR(now.st_mode) or stat.S_ISDIR(prepared.st_mode))
    flags = files.RENAME_EXCHANGE if exchange else files.RENAME_NOREPLACE if now is None else 0
    try:
        files.rename(parent_fd, temp, parent_fd, name, flags)
    except OSError as error:
        if error.errno != errno.EINVAL or flags != files.RENAME_NOREPLACE:
            raise
        os.rename(temp, name, src_dir_fd=parent_fd, dst_dir_fd=parent_fd)  # a file system without the flag


def _remove(step: Step, lower: Tree) -> bool:
    path, temp = os.fsencode(step.path), os.fsencode(step.temp)
    now = lower.stat(path)
    if now is not None and lower.stat(temp) is None:  # else it is away already, and this is a new one
        if state(now) != step.old:
            return False
        with lower.parent(path) as (parent_fd, name):
            os.rename(name, temp.rpartition(b"/")[2], src_dir_fd=parent_fd, dst_dir_fd=parent_fd)
        reached("taken away")
    remove(lower, temp)
    reached("removed")
    return True


def _set(step: Step, upper: Tree, lower: Tree) -> bool:
    path = os.fsencode(step.path)
    found, now = upper.stat(path), lower.stat(path)
    if found is None or state(now) != step.old:
        return False
    with lower.opened(path, os.O_RDONLY | os.O_DIRECTORY) as fd:
        os.fchmod(fd, wanted_mode(upper, found))
        wanted = attributes(upper, path)
        set_attributes(fd, wanted)
        for name in attributes(lower, path).keys() - wanted.keys():
            os.removexattr(fd, name)
        os.fsync(fd)
    reached("set")
    return True
