"""Copy-on-write: an overlay whose changes live in a tmpfs of its own. Kernel: filesystems/overlayfs.rst."""

from __future__ import annotations

import os

from libos.kernel import mounts

_SAFE = mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV


def make(lower_fd: int, stage: str) -> int:
    """Give a detached overlay over the tree `lower_fd`, which is taken over; changes end with the overlay.

    overlayfs takes paths, so its parts are attached below the new directory `stage` for the moment. Raises
    OSError.
    """
    lower, changes = f"{stage}/lower", f"{stage}/changes"
    for path in (stage, lower, changes):
        os.mkdir(path)
    mode = os.fstat(lower_fd).st_mode & 0o7777
    _attach(lower_fd, lower)
    _attach(mounts.new_filesystem("tmpfs", {"mode": "700"}, _SAFE), changes)
    for name in ("upper", "work"):
        os.mkdir(f"{changes}/{name}")
    os.chmod(f"{changes}/upper", mode)  # the merged root shows the upper directory's mode
    options = {
        "lowerdir": lower,
        "upperdir": f"{changes}/upper",
        "workdir": f"{changes}/work",
        "userxattr": None,
    }
    try:
        return mounts.new_filesystem("overlay", options, _SAFE)
    finally:
        for path in (changes, lower):  # the overlay keeps its parts
            mounts.unmount(path)
            os.rmdir(path)
        os.rmdir(stage)


def _attach(tree_fd: int, path: str) -> None:
    point_fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        mounts.attach_tree(tree_fd, point_fd, path)
    finally:
        os.close(point_fd)
        os.close(tree_fd)
