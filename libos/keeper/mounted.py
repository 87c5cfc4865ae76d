"""What is mounted in a running world, and how that changes.

Each mount is known by the name that the supervisor gave it (a step of the plan by its place) and held by a
descriptor: so it can be taken out wherever the app has moved its mount point since, by renaming a directory
on the way.
"""

from __future__ import annotations

import errno
import os

from libos.keeper import world
from libos.keeper.world import Step
from libos.kernel import mounts


class Mounted:
    """The mounts of one world. Every method raises OSError; what fails has changed nothing."""

    def __init__(self, placed: dict[str, int]) -> None:
        self._trees = placed

    def add(self, name: str, step: Step, tree_fd: int | None) -> None:
        """Mount the detached tree, or the new tmpfs that the step describes where there is none; read-only
        where the step says "restrict"."""
        own_fd = world.new_tmpfs(step) if tree_fd is None else os.dup(tree_fd)
        if step.get("restrict"):
            mounts.set_tree(own_fd, set_flags=mounts.MOUNT_ATTR_RDONLY)
        root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._trees[name] = world.place(root_fd, step, own_fd)
        finally:
            os.close(root_fd)

    def copy(self, name: str) -> int:
        """Give a detached copy of a mount, for another world. open_tree(2)."""
        return mounts.clone_tree(self._tree(name))

    def remove(self, name: str) -> None:
        """Detach a mount: no path leads to it any more; who has something open of it keeps that. umount2(2),
        MNT_DETACH."""
        mounts.unmount(f"/proc/self/fd/{self._tree(name)}")
        os.close(self._trees.pop(name))

    def restrict(self, name: str) -> None:
        """Make a mount read-only. EBUSY while somebody has a file open for writing. mount_setattr(2)."""
        mounts.set_tree(self._tree(name), set_flags=mounts.MOUNT_ATTR_RDONLY)

    def _tree(self, name: str) -> int:
        if name not in self._trees:
            raise OSError(errno.EINVAL, f"nothing is mounted as {name}")
        return self._trees[name]
