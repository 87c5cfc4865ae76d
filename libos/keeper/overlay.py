"""Copy-on-write: an overlay whose changes live in a tmpfs of its own, or in a folder that persists.

A folder that persists holds `upper` and `work`, made by whoever keeps it. Kernel: filesystems/overlayfs.rst.
"""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack

from libos.kernel import mounts

# A tmpfs inode is some 700 bytes, and its entry 200: kernel, /proc/slabinfo.
_BYTES_A_FILE = 1024
# Of the smallest: a directory in memory of 1K can hold something too.
_LEAST_FILES = 64
_SAFE = mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV


def make(lower_fd: int, stage: str, changes_fd: int | None = None, *, size: int | None = None) -> int:
    """Give a detached overlay over the tree `lower_fd`, which is taken over.

    `changes_fd` is a tree with the directories `upper` and `work`, taken over too; without one the changes
    end with the overlay, and may be `size` bytes, by default half of the machine's memory. overlayfs takes
    paths, so its parts are attached below the new directory `stage` for the moment. Raises OSError, with the
    remedy where a folder of changes cannot be used.
    """
    lower, changes = f"{stage}/lower", f"{stage}/changes"
    with ExitStack() as undone:  # the overlay keeps its parts; of what fails on the way nothing stays either
        for path in (stage, lower, changes):
            os.mkdir(path)
            undone.callback(os.rmdir, path)
        shown = os.fstat(lower_fd)
        _attach(lower_fd, lower)
        undone.callback(mounts.unmount, lower)
        _attach(_memory(size) if changes_fd is None else changes_fd, changes)
        undone.callback(mounts.unmount, changes)
        if changes_fd is None:
            for name in ("upper", "work"):
                os.mkdir(f"{changes}/{name}")
            # The merged root shows the mode and the times of the upper directory.
            os.chmod(f"{changes}/upper", shown.st_mode & 0o7777)
            os.utime(f"{changes}/upper", ns=(shown.st_atime_ns, shown.st_mtime_ns))
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


def bounded(options: dict[str, str | None], size: int | None) -> dict[str, str | None]:
    """The options of a tmpfs that holds at most `size` bytes, and as many files as a byte in 1024: what the
    kernel keeps of an empty file is about that much, and is memory too. None leaves both at their defaults,
    which are half of the machine's memory and a file a page of it. tmpfs(5)."""
    if not size:
        return options
    return options | {"size": str(size), "nr_inodes": str(max(_LEAST_FILES, size // _BYTES_A_FILE))}


def _memory(size: int | None) -> int:
    return mounts.new_filesystem("tmpfs", bounded({"mode": "700"}, size), _SAFE)


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
