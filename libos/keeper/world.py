"""How init builds the view: the mounts of the plan in order, then the root.

Everything here runs once, in process 1 of a new world, before any code of the app. A mount point is resolved
below the new root without following any symlink: a directory that a former app could write may hold a link
that leads elsewhere. Each failure is an OSError that names the step; the world is then given up.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from typing import Any, NamedTuple

from libos.keeper import base, overlay, points
from libos.kernel import mounts

Step = dict[str, Any]

_SAFE = mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV
_NO_LINKS = mounts.RESOLVE_BENEATH | mounts.RESOLVE_NO_SYMLINKS


def new_proc() -> int:
    """Give this pid namespace's /proc, attached nowhere yet. proc(5)."""
    return mounts.new_filesystem("proc", {}, _SAFE | mounts.MOUNT_ATTR_NOEXEC)


class View(NamedTuple):
    """What is built: the world's name in the FUSE mount, its host name, its steps, what its
    /proc hides (`base.masks`); how many terminals it may have; the size of /dev/shm in
    bytes, None for the kernel's default."""

    world: str
    hostname: str
    steps: list[Step]
    masks: list[tuple[str, str]]
    terminals: int
    shm: int | None = None
    # Nothing of the root itself is executed: only of mounts whose steps do not say so.
    noexec: bool = False


def build(view: View, trees: list[int], proc_fd: int, last: Callable[[], None]) -> dict[str, int]:
    """Build the root from the world's FUSE directory and the steps, and enter it. Raises OSError.

    `last` is called when all is mounted and the root is not yet changed. Gives a descriptor of each step's
    mount by its place, for `Mounted`.
    """
    socket.sethostname(view.hostname)
    placed: dict[str, int] = {}
    mounts.mount(f"{base.FUSE}/{view.world}", base.ROOT, None, mounts.MS_BIND)
    root_fd = os.open(base.ROOT, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if view.noexec:
            mounts.set_tree(root_fd, set_flags=mounts.MOUNT_ATTR_NOEXEC, recursive=False)
        for number, step in enumerate(view.steps):
            tree_fd = _rebind(root_fd, step) if step["op"] == "rebind" else _make(step, trees, number)
            if step.get("noexec"):
                mounts.set_tree(tree_fd, set_flags=mounts.MOUNT_ATTR_NOEXEC)
            covered_fd = placed.pop(step["at"], None)
            placed[step["at"]] = place(root_fd, step, tree_fd)
            if covered_fd is not None:
                os.close(covered_fd)
        _attach_proc(root_fd, proc_fd, view.masks)
        _attach_devices(root_fd, view)
    finally:
        os.close(root_fd)
    last()
    mounts.pivot_root_here(base.ROOT)
    return placed


def enter_empty_root() -> None:
    """Make an empty directory the root of all processes of this world, and let go of all that was mounted.

    The kernel moves the root, and a working directory that is the root, of each of them: pivot_root(2). What
    they have open stays open. Raises OSError.
    """
    attributes = _SAFE | mounts.MOUNT_ATTR_NOEXEC | mounts.MOUNT_ATTR_RDONLY
    tree_fd = mounts.new_filesystem("tmpfs", {"mode": "555", "size": "4k"}, attributes)
    root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        mounts.attach_tree(tree_fd, root_fd, "/")
        mounts.pivot_root_here(tree_fd)
    finally:
        os.close(root_fd)
        os.close(tree_fd)


def _rebind(root_fd: int, step: Step) -> int:
    """Give a detached copy of what the root shows at a path so far, with all that is mounted below it."""
    try:
        source_fd = mounts.open_beneath(root_fd, step["path"].lstrip("/") or ".", os.O_PATH, _NO_LINKS)
    except OSError as error:
        raise OSError(error.errno, f"bind {step['path']}: {error.strerror}") from error
    try:
        tree_fd = mounts.clone_tree(source_fd)
    finally:
        os.close(source_fd)
    if step["read_only"]:
        mounts.set_tree(tree_fd, set_flags=mounts.MOUNT_ATTR_RDONLY)
    return tree_fd


def place(root_fd: int, step: Step, tree_fd: int) -> int:
    """Attach a step's tree at its point, made where the step says so, and give its descriptor. Takes the tree
    over. Raises OSError."""
    try:
        if step["make_point"]:
            points.make(root_fd, step["at"], directory=stat.S_ISDIR(os.fstat(tree_fd).st_mode))
        _attach(root_fd, step["at"], os.dup(tree_fd))
    except OSError:
        os.close(tree_fd)
        raise
    return tree_fd


def _attach_proc(root_fd: int, proc_fd: int, masks: list[tuple[str, str]]) -> None:
    """Attach /proc, cover what it is not to show, and make its settings read-only.

    By paths from inside it: its own mount points, which no app has touched, and one call each.
    """
    os.fchdir(proc_fd)
    _attach(root_fd, "/proc", proc_fd)
    for name, cover in masks:
        mounts.mount(cover, name, None, mounts.MS_BIND)
    safe = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC
    mounts.mount("sys", "sys", None, mounts.MS_BIND)
    mounts.mount(None, "sys", None, mounts.MS_REMOUNT | mounts.MS_BIND | mounts.MS_RDONLY | safe)
    os.chdir("/")


def _attach_devices(root_fd: int, view: View) -> None:
    """Attach the devices of every world, with a pts and a shm of its own."""
    attributes = _SAFE | mounts.MOUNT_ATTR_NOEXEC
    tree_fd = _clone_path(base.DEVICES)
    mounts.set_tree(tree_fd, set_flags=mounts.MOUNT_ATTR_RDONLY, recursive=False)
    _attach(root_fd, "/dev", tree_fd)
    terminals = {"newinstance": None, "ptmxmode": "0666", "mode": "0620", "max": str(view.terminals)}
    _attach(root_fd, "/dev/pts", mounts.new_filesystem("devpts", terminals, mounts.MOUNT_ATTR_NOSUID))
    shared = overlay.bounded({"mode": "1777"}, view.shm)
    _attach(root_fd, "/dev/shm", mounts.new_filesystem("tmpfs", shared, attributes))  # noqa: S108 - the world's own


def _attach(root_fd: int, at: str, tree_fd: int) -> None:
    try:
        point_fd = mounts.open_beneath(root_fd, at.lstrip("/") or ".", os.O_PATH, _NO_LINKS)
        try:
            mounts.attach_tree(tree_fd, point_fd, at)
        finally:
            os.close(point_fd)
    except OSError as error:
        raise OSError(error.errno, f"mount point {at}: {error.strerror}") from error
    finally:
        os.close(tree_fd)


def _make(step: Step, trees: list[int], number: int) -> int:
    """Give the detached tree that a step mounts."""
    match step["op"]:
        case "bind":
            return _host(step, trees, read_only=step["read_only"])
        case "tmpfs":
            return new_tmpfs(step)
        case "overlay":
            changes = step.get("changes")  # a folder of the host, where they are kept
            changes_fd = None if changes is None else _host(changes, trees, read_only=False)
            return overlay.make(
                _host(step, trees, read_only=True), _stage(number), changes_fd, size=step.get("size")
            )
        case "served":
            return base.served_tree(step["name"])
    raise OSError(0, f"unknown step {step['op']}")


def new_tmpfs(step: Step) -> int:
    """Give an empty directory in memory, attached nowhere yet. tmpfs(5). Raises OSError."""
    options = overlay.bounded({"mode": format(step["mode"], "o")}, step.get("size"))
    return mounts.new_filesystem("tmpfs", options, _SAFE)


def _host(step: Step, trees: list[int], *, read_only: bool) -> int:
    """The tree that came down from a supervisor with root's rights, else the one that K can reach itself."""
    if (index := step.get("tree")) is not None:
        return trees[index]
    return base.host_tree(step["source"], read_only=read_only, links=step.get("links", False))


def _stage(number: int) -> str:
    """Give a new name below /stage, on a tmpfs of this mount namespace alone: worlds share the base's."""
    if not os.path.ismount(base.STAGE):
        mounts.mount("stage", base.STAGE, "tmpfs", mounts.MS_NOSUID | mounts.MS_NODEV, "mode=700,size=64k")
    return f"{base.STAGE}/{number}"


def _clone_path(path: str) -> int:
    source_fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return mounts.clone_tree(source_fd)
    finally:
        os.close(source_fd)
