"""Changing what an upper layer says, while no overlay uses it.

Rule: what the app would see of the paths that are not named stays what it was, after each single step.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable

from libos.kept.entries import OPAQUE, is_directory, is_opaque, is_whiteout, same
from libos.kept.faults import reached
from libos.kept.tree import Tree, above, join
from libos.kernel import files


def forget(upper: Tree, paths: Iterable[bytes]) -> None:
    """Remove these paths from the layer; a directory in which something else stands stays."""
    for path in sorted(paths, key=lambda path: path.split(b"/"), reverse=True):
        found = upper.stat(path)
        if found is None:
            continue
        with upper.changing(path) as (parent_fd, name):
            if not stat.S_ISDIR(found.st_mode):
                os.unlink(name, dir_fd=parent_fd)
            else:
                _remove_if_empty(parent_fd, name)
        reached("forgotten")


def prune(upper: Tree, lower: Tree) -> None:
    """Remove empty directories that say nothing which the lower tree does not say."""
    for path in reversed(_directories(upper)):
        found, original = upper.stat(path), lower.stat(path)
        if found is None or original is None or not is_directory(original) or is_opaque(upper, path):
            continue
        if same(upper, lower, path, found, original):
            with upper.changing(path) as (parent_fd, name):
                _remove_if_empty(parent_fd, name)


def _remove_if_empty(parent_fd: int, name: bytes) -> None:
    try:
        os.rmdir(name, dir_fd=parent_fd)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _directories(upper: Tree) -> list[bytes]:
    """All directories but the top, parents first."""
    found = [b""]
    for path in found:
        found += [each for name in upper.names(path) if is_directory(upper.stat(each := join(path, name)))]
    return found[1:]


def spell_out(upper: Tree, lower: Tree) -> None:
    """Turn each opaque directory into one with a whiteout for each name that it hides, so that each of them
    can be decided on by itself. From the top down: what is below an opaque directory is opaque first."""
    for path in _directories(upper):
        if not is_opaque(upper, path):
            continue
        for name in upper.names(path):
            child = join(path, name)
            if is_directory(upper.stat(child)):
                with upper.opened(child, os.O_RDONLY | os.O_DIRECTORY) as fd:
                    os.setxattr(fd, OPAQUE, b"y")
        if is_directory(lower.stat(path)):
            for name in set(lower.names(path)) - set(upper.names(path)):
                whiteout(upper, join(path, name))
                reached("spelled out")
        with upper.opened(path, os.O_RDONLY | os.O_DIRECTORY) as fd:
            os.removexattr(fd, OPAQUE)
        reached("opaque no more")


def whiteout(upper: Tree, path: bytes) -> None:
    """Let the layer say that a name is gone. mknod(2): a device 0/0 needs no right of root."""
    with upper.changing(path) as (parent_fd, name):
        os.mknod(name, stat.S_IFCHR | 0o000, os.makedev(0, 0), dir_fd=parent_fd)


def reveal(upper: Tree, lower: Tree, path: bytes, temp: bytes) -> None:
    """Show again one path that a whiteout hides, at it or above it; what else that whiteout hid stays hidden.

    `temp` is a free name at the layer's top. Raises OSError.
    """
    for hidden in [*reversed(list(above(path))), path]:
        found = upper.stat(hidden)
        if found is None or not is_whiteout(upper, hidden, found):
            continue
        original = lower.stat(hidden)
        if hidden == path and not is_directory(original):
            with upper.changing(hidden) as (parent_fd, name):
                os.unlink(name, dir_fd=parent_fd)
        elif original is not None and is_directory(original):
            _open_up(upper, lower, hidden, temp, original)
        reached("revealed")


def _open_up(upper: Tree, lower: Tree, path: bytes, temp: bytes, original: os.stat_result) -> None:
    """Exchange a whiteout of a directory for a directory of whiteouts."""
    with upper.changing(temp) as (top_fd, name):
        os.mkdir(name, 0o700, dir_fd=top_fd)
        for child in lower.names(path):
            whiteout(upper, join(temp, child))
        with upper.opened(temp, os.O_RDONLY | os.O_DIRECTORY) as fd:
            if os.geteuid() == 0:
                os.fchown(fd, original.st_uid, original.st_gid)
            os.fchmod(fd, stat.S_IMODE(original.st_mode))
        reached("built")
        with upper.changing(path) as (parent_fd, last):
            files.rename(top_fd, name, parent_fd, last, files.RENAME_EXCHANGE)
        os.unlink(name, dir_fd=top_fd)
