"""What is mounted in a running world, and how that changes.

Each mount is known by the name that the supervisor gave it (a step of the plan by its place) and held by a
descriptor: so it can be taken out wherever the app has moved its mount point since, by renaming a directory
on the way.
"""

from __future__ import annotations

import errno
import os
import stat

from libos.keeper import mounttable, world
from libos.keeper.world import Step
from libos.kernel import mounts

# Mounts of a world beyond which it binds no more: a bind of "/" doubles them. fs.mount-max is 100,000.
_MOST = 4096


class Mounted:
    """The mounts of one world. Every method raises OSError; what fails has changed nothing."""

    def __init__(self, placed: dict[str, int], *, noexec: bool = False) -> None:
        """`noexec`: nothing is executed of what is added."""
        self._trees = placed
        self._noexec = noexec

    def add(self, name: str, step: Step, tree_fd: int | None, *, bound: bool = False) -> None:
        """Mount the detached tree, or the new tmpfs that the step describes where there is none; read-only
        where the step says "restrict"; on the mount that it names as "over", wherever that is now. What is
        `bound` was in the world before, and is executed or not as there."""
        own_fd = world.new_tmpfs(step) if tree_fd is None else os.dup(tree_fd)
        if self._noexec and not bound:
            mounts.set_tree(own_fd, set_flags=mounts.MOUNT_ATTR_NOEXEC)
        if step.get("restrict"):
            mounts.set_tree(own_fd, set_flags=mounts.MOUNT_ATTR_RDONLY)
        if "over" in step:
            mounts.attach_tree(own_fd, self._tree(step["over"]), step["at"])
            self._trees[name] = own_fd
            return
        root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._trees[name] = world.place(root_fd, step, own_fd)
        finally:
            os.close(root_fd)

    def look(self, path: str) -> bool:
        """Whether a path of the world, as its processes see it, is a directory."""
        fd = _look_up(path)
        try:
            return stat.S_ISDIR(os.fstat(fd).st_mode)
        finally:
            os.close(fd)

    def bind(self, name: str, source: str, step: Step) -> list[str]:
        """Mount a second time what the world shows at `source`, with what is mounted below it; give the names
        of all mounts of which something is shown. ENOSPC where the world has too many mounts."""
        parents = mounttable.parents()
        if len(parents) > _MOST:
            raise OSError(errno.ENOSPC, "too many mounts in this world")
        fd = _look_up(source)
        try:
            shown = mounttable.below(parents, mounttable.mount_id(fd))
            tree_fd = mounts.clone_tree(fd)
        finally:
            os.close(fd)
        try:
            self.add(name, step, tree_fd, bound=True)
        finally:
            os.close(tree_fd)
        return [other for other, fd in self._trees.items() if mounttable.mount_id(fd) in shown]

    def copy(self, name: str) -> int:
        """Give a detached copy of a mount, for another world: without what is mounted on it, but for what the
        host has mounted there, which cannot be parted from it. open_tree(2)."""
        try:
            return mounts.clone_tree(self._tree(name), recursive=False)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return mounts.clone_tree(self._tree(name))

    def remove(self, name: str) -> None:
        """Detach a mount: no path leads to it any more; who has something open of it keeps that. umount2(2),
        MNT_DETACH."""
        mounts.unmount(f"/proc/self/fd/{self._tree(name)}")
        os.close(self._trees.pop(name))

    def restrict(self, name: str, *, alone: bool) -> None:
        """Make a mount read-only, with what is mounted on it or alone. EBUSY while somebody has a file open
        for writing. mount_setattr(2)."""
        mounts.set_tree(self._tree(name), set_flags=mounts.MOUNT_ATTR_RDONLY, recursive=not alone)

    def _tree(self, name: str) -> int:
        if name not in self._trees:
            raise OSError(errno.EINVAL, f"nothing is mounted as {name}")
        return self._trees[name]


def _look_up(path: str) -> int:
    """A descriptor of what a path of the world leads to. Links lead where they lead the app; those of /proc,
    which would lead it where init may go, are refused (ELOOP)."""
    root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        resolve = mounts.RESOLVE_IN_ROOT | mounts.RESOLVE_NO_MAGICLINKS
        return mounts.open_beneath(root_fd, path.lstrip("/") or ".", os.O_PATH, resolve)
    finally:
        os.close(root_fd)
