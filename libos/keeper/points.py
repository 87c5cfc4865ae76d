"""Mount points that have to be made first, inside a mount that ends with the world.

Each component is opened relative to the one before, and a symbolic link anywhere is refused (ELOOP, ENOTDIR):
what a copy-on-write mount shows may have been written by an app.
"""

from __future__ import annotations

import os

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def make(root_fd: int, at: str, *, directory: bool) -> None:
    """Make sure that `at` below the root exists, with its parents; what is there stays. Raises OSError."""
    *parents, name = at.strip("/").split("/")
    parent_fd = os.dup(root_fd)
    try:
        for parent in parents:
            _make_directory(parent, parent_fd)
            below_fd = os.open(parent, _DIRECTORY, dir_fd=parent_fd)
            os.close(parent_fd)
            parent_fd = below_fd
        if directory:
            _make_directory(name, parent_fd)
        else:
            _make_file(name, parent_fd)
    finally:
        os.close(parent_fd)


def _make_directory(name: str, parent_fd: int) -> None:
    try:
        os.mkdir(name, 0o755, dir_fd=parent_fd)
    except FileExistsError:
        pass


def _make_file(name: str, parent_fd: int) -> None:
    try:
        os.mknod(name, 0o644, dir_fd=parent_fd)  # a regular file, and never through a link
    except FileExistsError:
        pass
