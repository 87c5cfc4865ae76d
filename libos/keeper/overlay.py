"""Copy-on-write: an overlay whose changes live in a tmpfs of its own, or in a folder that persists.

A folder that persists holds `upper` and `work`, made by whoever keeps it. Kernel: filesystems/overlayfs.rst.
"""

from __future__ import annotations

import errno
import os

from libos.kernel import mounts

_SAFE = mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV


def make(lower_fd: int, stage: str, changes_fd: int | None = None) -> int:
    """Give a detached overlay over the tree `lower_fd`, which is taken over.

    `changes_fd` is a tree with the directories `upper` and `work`, taken over too; without one the changes
    end with the overlay. overlayfs takes paths, so its parts are attached below the new directory `stage`
    for the moment. Raises OSError, with the remedy where a folder of changes cannot be used.
    """
    lower, changes = f"{stage}/lower", f"{stage}/changes"
    for path in (stage, lower, changes):
        os.mkdir(path)
    mode = os.fstat(lower_fd).st_mode & 0o7777
    _attach(lower_fd, lower)
    if changes_fd is None:
        _attach(_memory(), changes)
        for name in ("upper", "work"):
            os.mkdir(f"{changes}/{name}")
        os.chmod(f"{changes}/upper", mode)  # the merged root shows the upper directory's mode
    else:
        _attach(changes_fd, changes)
    options = {
        "lowerdir": lower,
        "upperdir": f"{changes}/upper",
        "workdir": f"{changes}/work",
        "userxattr": None,
    }
    try:
        return mounts.new_filesystem("overlay", options, _SAFE)
    except OSError as error:
        raise error if changes_fd is None else _explained(error) from error
    finally:
        for path in (changes, lower):  # the overlay keeps its parts
            mounts.unmount(path)
            os.rmdir(path)
        os.rmdir(stage)


def _memory() -> int:
    return mounts.new_filesystem("tmpfs", {"mode": "700"}, _SAFE)


def _explained(error: OSError) -> OSError:
    """Say what overlayfs means by its errno. Kernel: fs/overlayfs/super.c and params.c."""
    if error.errno == errno.ELOOP:
        why = "the folder of changes lies inside the directory whose changes it keeps"
    elif error.errno == errno.EINVAL:
        why = (
            "the file system of the folder of changes cannot take them: it needs extended attributes of users"
        )
        why += " (ext4, xfs, btrfs, tmpfs since Linux 6.6) and cannot be an overlay or a network file system"
    else:
        return error
    return OSError(error.errno, f"{why}; set XDG_STATE_HOME to a folder elsewhere")


def _attach(tree_fd: int, path: str) -> None:
    point_fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        mounts.attach_tree(tree_fd, point_fd, path)
    finally:
        os.close(point_fd)
        os.close(tree_fd)
