"""Mounts: mount(2), the mount API by descriptor, pivot_root(2), and opening below a directory.

Nothing here may be called in the machine's own mount namespace except `clone_tree`, `set_tree` and
`open_beneath`, which change nothing that others see.
"""

from __future__ import annotations

import ctypes
import os
import struct

from libos.kernel.syscalls import call

# mount(2), sys/mount.h
MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2

# open_tree(2), move_mount(2), mount_setattr(2): linux/mount.h, linux/fcntl.h
OPEN_TREE_CLONE = 0x1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
AT_RECURSIVE = 0x8000
AT_EMPTY_PATH = 0x1000
AT_FDCWD = -100
MOVE_MOUNT_F_EMPTY_PATH = 0x4
MOVE_MOUNT_T_EMPTY_PATH = 0x40
MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR_IDMAP = 0x100000

# fsopen(2), fsconfig(2), fsmount(2), linux/mount.h
_FSOPEN_CLOEXEC = 0x1
_FSMOUNT_CLOEXEC = 0x1
_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6

# openat2(2), linux/openat2.h
RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10


def mount(
    source: str | None, target: str, kind: str | None, flags: int = 0, options: str | None = None
) -> None:
    """Attach a filesystem, or change one, as mount(2) says. Raises OSError."""
    doing = f"mount {kind or 'bind'} {source or 'none'} on {target}"
    call(doing, "mount", _path(source), _path(target), _path(kind), flags, _path(options))


def make_private(target: str = "/") -> None:
    """Let no mount below `target` propagate to or from other namespaces. mount_namespaces(7)."""
    call(f"make {target} private", "mount", None, _path(target), None, MS_REC | MS_PRIVATE, None)


def unmount(target: str, flags: int = MNT_DETACH) -> None:
    """Take the topmost mount off `target`; by default lazily. umount2(2)."""
    call(f"unmount {target}", "umount2", _path(target), flags)


def pivot_root_here(new_root: str | int) -> None:
    """Make the mount at `new_root`, or behind that descriptor, the root and drop the old one.

    The working directory ends at the new root. pivot_root(2), NOTES, the form `pivot_root(".", ".")`.
    """
    os.chdir(new_root)
    call(f"pivot_root to {new_root}", "pivot_root", b".", b".")
    call("detach the old root", "umount2", b".", MNT_DETACH)
    os.chdir("/")


def pivot_root(new_root: str, put_old: str) -> None:
    """Make the mount at `new_root` the root and leave the old one at `put_old`. pivot_root(2)."""
    call(f"pivot_root to {new_root}", "pivot_root", _path(new_root), _path(put_old))


def clone_tree(directory_fd: int, path: str = "", *, recursive: bool = True) -> int:
    """Give a descriptor of a detached copy of the mount at `path`, with what is mounted below it.

    The caller owns the descriptor; when the last one closes and the tree was not attached, it goes away.
    open_tree(2).
    """
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    return call(f"copy the mount at {path or 'descriptor'}", "open_tree", directory_fd, _path(path), flags)


def set_tree(
    tree_fd: int, *, set_flags: int = 0, user_namespace_fd: int | None = None, recursive: bool = True
) -> None:
    """Add mount attributes to a tree; with `user_namespace_fd` make it id-mapped. mount_setattr(2)."""
    if user_namespace_fd is not None:
        set_flags |= MOUNT_ATTR_IDMAP
    attributes = struct.pack("=QQQQ", set_flags, 0, 0, user_namespace_fd or 0)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    call("set the attributes of a mount", "mount_setattr", tree_fd, b"", flags, buffer, len(attributes))


def new_filesystem(kind: str, options: dict[str, str | None], attributes: int = 0) -> int:
    """Make a filesystem that is mounted nowhere yet and give its tree's descriptor.

    An option without a value is a flag. `attributes` are MOUNT_ATTR_*. fsopen(2), fsconfig(2), fsmount(2).
    """
    context_fd = call(f"make a {kind}", "fsopen", kind.encode(), _FSOPEN_CLOEXEC)
    try:
        for key, value in options.items():
            doing = f"set {key}={value} of a {kind}"
            command = _FSCONFIG_SET_FLAG if value is None else _FSCONFIG_SET_STRING
            call(doing, "fsconfig", context_fd, command, key.encode(), _path(value), 0)
        call(f"make a {kind}", "fsconfig", context_fd, _FSCONFIG_CMD_CREATE, None, None, 0)
        return call(f"mount a {kind}", "fsmount", context_fd, _FSMOUNT_CLOEXEC, attributes)
    finally:
        os.close(context_fd)


def attach_tree(tree_fd: int, point_fd: int, path: str) -> None:
    """Attach a detached tree on the directory or file behind `point_fd`. move_mount(2).

    A descriptor and not a path, since who resolves the path decides what a link in it may do; `path` is
    only what an error says.
    """
    flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
    call(f"mount on {path}", "move_mount", tree_fd, b"", point_fd, b"", flags)


def open_beneath(directory_fd: int, path: str | bytes, flags: int, resolve: int, mode: int = 0) -> int:
    """Open `path` relative to a directory under the restrictions `resolve` (RESOLVE_*). openat2(2).

    Gives a close-on-exec descriptor. Raises OSError; EXDEV or ELOOP where the path leaves what is allowed.
    """
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve)
    buffer = ctypes.create_string_buffer(how, len(how))
    return call(f"open {os.fsdecode(path)}", "openat2", directory_fd, _path(path), buffer, len(how))


def _path(text: str | bytes | None) -> bytes | None:
    return os.fsencode(text) if text is not None else None
