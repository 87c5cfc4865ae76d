"""The mount namespace that every world's copy starts from.

    /         a small tmpfs
    /host     everything that the caller sees, as it sees it
    /fuse     the FUSE mount: one directory a world
    /dev      the devices of every world, read-only; a world puts its own pts and shm over it
    /root     where a world builds its root
    /stage    where a world builds an overlay
    /mask     an empty file and an empty directory, read-only, for what a world shows of nothing
    /service  for a moment, a tmpfs with the unix socket of a service that is being made

Host paths are resolved with RESOLVE_IN_ROOT below /host, so that an absolute symlink means what it means
outside.
"""

from __future__ import annotations

import os
import socket

from libos.keeper.identity import APP_ID
from libos.kernel import mounts

HOST = "/host"
HOST_PROC = "/host/proc"
FUSE = "/fuse"
DEVICES = "/dev"
ROOT = "/root"
STAGE = "/stage"
SERVICE = "/service"
MASK_FILE, MASK_FOLDER = "/mask/file", "/mask/folder"

# Connections that wait to be accepted; the kernel cuts it to net.core.somaxconn.
_BACKLOG = 4096

# Any directory that every host has: the mount becomes the root, and below /host it is the caller's again.
_PLACE = "/proc"

_MASK = "/mask"
# Of /proc, what tells of the machine rather than of the world, or commands it: what Docker covers, what it
# makes read-only (but for sys), and the keyrings' users. moby, oci/defaults.go; proc(5).
MASKED = (
    *("acpi", "asound", "bus", "fs", "interrupts", "irq", "kcore", "key-users", "keys", "latency_stats"),
    *("sched_debug", "scsi", "sysrq-trigger", "timer_list", "timer_stats"),
)

_NODES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_SAFE = mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV


def build(fuse_fd: int) -> None:
    """Turn this process's private mount namespace into the base. Raises OSError."""
    mounts.make_private()
    mounts.mount("libos", _PLACE, "tmpfs", mounts.MS_NOSUID | mounts.MS_NODEV, "mode=755,size=1m")
    for name in (HOST, FUSE, DEVICES, ROOT, STAGE, SERVICE, _MASK):
        os.mkdir(_PLACE + name)
    mounts.pivot_root(_PLACE, _PLACE + HOST)
    os.chdir("/")
    _mount_fuse(fuse_fd)
    _make_devices()
    _make_masks()


def _mount_fuse(fuse_fd: int) -> None:
    options = (
        f"fd={fuse_fd},rootmode=40000,user_id={APP_ID},group_id={APP_ID},allow_other,default_permissions"
    )
    mounts.mount("libos", FUSE, "fuse", mounts.MS_NOSUID | mounts.MS_NODEV, options)


def _make_devices() -> None:
    mounts.mount("dev", DEVICES, "tmpfs", mounts.MS_NOSUID | mounts.MS_NOEXEC, "mode=755,size=64k")
    for name in _NODES:
        point = f"{DEVICES}/{name}"
        os.close(os.open(point, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o666))
        mounts.mount(f"{HOST}/dev/{name}", point, None, mounts.MS_BIND)
    for name, target in _LINKS.items():
        os.symlink(target, f"{DEVICES}/{name}")
    for name in ("pts", "shm"):
        os.mkdir(f"{DEVICES}/{name}")


def _make_masks() -> None:
    safe = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC
    mounts.mount("mask", _MASK, "tmpfs", safe, "mode=755,size=4k")
    os.mkdir(MASK_FOLDER, 0o555)
    os.close(os.open(MASK_FILE, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o444))
    mounts.mount(None, _MASK, None, mounts.MS_REMOUNT | mounts.MS_BIND | mounts.MS_RDONLY | safe)


def masks() -> list[tuple[str, str]]:
    """What a world's /proc shows of nothing: which of `MASKED` this kernel has, and what covers it."""
    found = []
    for name in MASKED:
        path = f"{HOST_PROC}/{name}"
        if os.path.exists(path):
            found.append((name, MASK_FOLDER if os.path.isdir(path) else MASK_FILE))
    return found


def served_tree(name: str) -> int:
    """Give a detached copy of the mount of one name in the file server's root. Raises OSError."""
    source_fd = os.open(f"{FUSE}/{name}", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return mounts.clone_tree(source_fd)
    finally:
        os.close(source_fd)


def service() -> tuple[int, int]:
    """Give the listener of a new unix socket, and a detached read-only mount of its file, the one way to it.

    Whoever reaches the file may connect; its directory, a tmpfs of its own, is out of every world's reach and
    goes with the mount. unix(7). Raises OSError.
    """
    mounts.mount("service", SERVICE, "tmpfs", mounts.MS_NOSUID | mounts.MS_NODEV, "mode=700,size=4k")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(f"{SERVICE}/socket")
            os.chmod(f"{SERVICE}/socket", 0o666)  # noqa: S103 - as above
            listener.listen(_BACKLOG)
            tree_fd = mounts.clone_tree(mounts.AT_FDCWD, f"{SERVICE}/socket")
            try:
                mounts.set_tree(tree_fd, set_flags=_SAFE | mounts.MOUNT_ATTR_RDONLY)
            except OSError:
                os.close(tree_fd)
                raise
            return listener.detach(), tree_fd
    finally:
        mounts.unmount(SERVICE)


def host_tree(path: str, *, read_only: bool, links: bool = False) -> int:
    """Give a detached copy of the mount at a path of the host, without set-uid programs and devices.

    A plan's paths have no links in them: one that is there by now was put there since, and is refused (ELOOP)
    unless `links`.
    """
    resolve = mounts.RESOLVE_IN_ROOT | (0 if links else mounts.RESOLVE_NO_SYMLINKS)
    host_fd = os.open(HOST, os.O_PATH | os.O_CLOEXEC)
    try:
        source_fd = mounts.open_beneath(host_fd, path.lstrip("/") or ".", os.O_PATH, resolve)
    finally:
        os.close(host_fd)
    try:
        tree_fd = mounts.clone_tree(source_fd)
    finally:
        os.close(source_fd)
    mounts.set_tree(tree_fd, set_flags=_SAFE | (mounts.MOUNT_ATTR_RDONLY if read_only else 0))
    return tree_fd
