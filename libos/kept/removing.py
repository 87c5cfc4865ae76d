"""Removing what stands at a path of a tree, with all below it."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from libos.kept.tree import Tree, join


def remove(tree: Tree, path: bytes) -> None:
    """Remove a file, a link or a whole directory; what is gone already is no error. Raises OSError."""
    waiting = [(path, False)]
    while waiting:
        here, emptied = waiting.pop()
        found = tree.stat(here)
        if found is None:
            continue
        with tree.parent(here) as (parent_fd, name):
            if not stat.S_ISDIR(found.st_mode):
                os.unlink(name, dir_fd=parent_fd)
            elif emptied:
                os.rmdir(name, dir_fd=parent_fd)
            else:
                make_removable(tree, here, found)
                waiting.append((here, True))
                waiting += [(join(here, child), False) for child in tree.names(here)]


def make_removable(tree: Tree, path: bytes, found: os.stat_result) -> None:
    """Let the owner change what stands in a directory of his, whatever mode an app left it with."""
    if found.st_mode & 0o700 != 0o700:
        with suppress(PermissionError), tree.pinned(path) as pin:
            os.chmod(pin, found.st_mode & 0o7777 | 0o700)
