"""Each step from a process to a world, done for real and reported one by one.

Rules: standard library only, single-threaded, as the keeper is; every step is the call that the keeper or
an init makes, with the same arguments; nothing is mounted before the mount namespace is private; a step
that fails ends its own branch, and what it would have led to is not reported. A report is one JSON object a
line: {"step": name, "errno": 0 or the error's, "message": text}.

    outside      opens /dev/fuse, makes an id-mapped mount (as root)
    +- inside    user namespace, ids, mount namespace, tmpfs, overlay, FUSE
       +- world  pid, network and further namespaces, /proc, terminals, network
          +- app user namespace of its own, seccomp filter
"""

from __future__ import annotations

import errno
import json
import os
import signal
import struct
from collections.abc import Callable
from typing import NoReturn

from libos.keeper import network, second
from libos.keeper.identity import APP_ID, FIRST_ID, keeper_maps, serves_root
from libos.kernel import landlock, mounts, namespaces, process
from libos.net.link_messages import MESSAGES

# A directory that every Linux has; it is covered inside a private mount namespace only.
_PLACE = "/tmp"  # noqa: S108
_SAFE = mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV
_NAMESPACES = {
    "pid namespace": namespaces.CLONE_NEWPID,
    "network namespace": namespaces.CLONE_NEWNET,
    "ipc namespace": namespaces.CLONE_NEWIPC,
    "uts namespace": namespaces.CLONE_NEWUTS,
    "cgroup namespace": namespaces.CLONE_NEWCGROUP,
}
# One instruction: BPF_RET | BPF_K with SECCOMP_RET_ALLOW (linux/filter.h, linux/seccomp.h).
_ALLOW_ALL = struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)
# ENOSYS stands for whatever is no operating system error, such as a fault of this module.
_FAULT = errno.ENOSYS


class _FailedError(Exception):
    """A step failed and was reported; its branch ends."""


def main() -> None:
    """Try all steps and report each on stdout."""
    process.die_with_parent()
    _branch(_open_fuse)
    if serves_root():
        _branch(_map_ids_of_a_mount)
    _branch(_inside)


def _try(name: str, step: Callable[[], object]) -> None:
    """Do one step and report it. Raises _FailedError."""
    try:
        step()
    except OSError as error:
        _report(name, error.errno or _FAULT, error.strerror or str(error))
        raise _FailedError from error
    except Exception as error:
        _report(name, _FAULT, f"{type(error).__name__}: {error}")
        raise _FailedError from error
    _report(name, 0, "")


def _report(name: str, number: int, message: str) -> None:
    line = json.dumps({"step": name, "errno": number, "message": message}) + "\n"
    os.write(1, line.encode())


def _branch(steps: Callable[[], None]) -> None:
    """Do steps in a child of its own and wait for it."""
    pid = os.fork()
    if pid == 0:
        _end_after(steps)
    os.waitpid(pid, 0)


def _end_after(steps: Callable[[], None]) -> NoReturn:
    try:
        process.die_with_parent()
        steps()
    except _FailedError:
        pass
    finally:
        os._exit(0)


def _open_fuse() -> None:
    _try("/dev/fuse", lambda: os.close(os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)))


def _map_ids_of_a_mount() -> None:
    _try("id-mapped mount", _id_mapped_mount)


def _id_mapped_mount() -> None:
    """Map root's files of the root filesystem to the unprivileged id, as for an app that root starts."""
    pid, pidfd = namespaces.clone_process(namespaces.CLONE_NEWUSER)
    if pid == 0:
        process.die_with_parent()
        signal.pause()
        os._exit(0)
    try:
        namespaces.write_id_maps(f"/proc/{pid}", 0, FIRST_ID, FIRST_ID)
        namespace_fd = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        tree_fd = mounts.clone_tree(os.open("/", os.O_PATH | os.O_CLOEXEC), recursive=False)
        mounts.set_tree(tree_fd, user_namespace_fd=namespace_fd, recursive=False)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(pidfd)


def _inside() -> None:
    outside_pid = os.getpid()
    ready_read, ready_write = os.pipe()
    mapped_read, mapped_write = os.pipe()
    mapper = os.fork()
    if mapper == 0:
        # The keeper's outside half: it stays in the caller's namespaces and writes the maps.
        os.close(ready_write)
        if os.read(ready_read, 1):
            _end_after(lambda: _write_maps(outside_pid, mapped_write))
        os._exit(0)
    os.close(mapped_write)
    if serves_root():
        os.setgroups([])
    _try("user namespace", lambda: namespaces.unshare(namespaces.CLONE_NEWUSER))
    os.write(ready_write, b"1")
    if not os.read(mapped_read, 1):
        raise _FailedError
    os.waitpid(mapper, 0)
    fuse_fd = _fuse_descriptor()
    os.setresgid(APP_ID, APP_ID, APP_ID)
    os.setresuid(APP_ID, APP_ID, APP_ID)
    process.prctl("stay dumpable", process.PR_SET_DUMPABLE, 1)
    _try("mount namespace", _private_mounts)
    _try("tmpfs", lambda: _cover(mounts.new_filesystem("tmpfs", {"mode": "755"}, _SAFE)))
    if fuse_fd is not None:
        _branch(lambda: _try("FUSE mount", lambda: _mount_fuse(fuse_fd)))
        os.close(fuse_fd)
    _branch(lambda: _try("overlay", _overlay))
    for name, flag in _NAMESPACES.items():
        _branch(lambda name=name, flag=flag: _try(name, lambda: namespaces.unshare(flag)))  # type: ignore[misc]
    _world()


def _write_maps(pid: int, mapped_fd: int) -> None:
    _try("id maps", lambda: namespaces.write_id_ranges(f"/proc/{pid}", *keeper_maps()))
    os.write(mapped_fd, b"1")


def _fuse_descriptor() -> int | None:
    try:
        return os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None  # reported by its own step


def _private_mounts() -> None:
    namespaces.unshare(namespaces.CLONE_NEWNS)
    mounts.make_private()


def _cover(tree_fd: int) -> None:
    """Attach a tree at a place of this private mount namespace."""
    point_fd = os.open(_PLACE, os.O_PATH | os.O_CLOEXEC)
    mounts.attach_tree(tree_fd, point_fd, _PLACE)


def _mount_fuse(fuse_fd: int) -> None:
    # In a mount namespace that ends with this branch: nobody will answer there.
    namespaces.unshare(namespaces.CLONE_NEWNS)
    options = (
        f"fd={fuse_fd},rootmode=40000,user_id={APP_ID},group_id={APP_ID},allow_other,default_permissions"
    )
    mounts.mount("libos", _PLACE, "fuse", mounts.MS_NOSUID | mounts.MS_NODEV, options)


def _overlay() -> None:
    for name in ("lower", "upper", "work"):
        os.mkdir(f"{_PLACE}/{name}")
    options: dict[str, str | None] = {f"{name}dir": f"{_PLACE}/{name}" for name in ("lower", "upper", "work")}
    _cover(mounts.new_filesystem("overlay", options | {"userxattr": None}, _SAFE))


def _world() -> None:
    """All namespaces of a world at once, as the keeper makes them, and what its init does there."""
    flags = namespaces.CLONE_NEWNS
    for flag in _NAMESPACES.values():
        flags |= flag
    pid = 0

    def fork_world() -> None:
        nonlocal pid
        pid, _ = namespaces.clone_process(flags)
        if pid == 0:
            _end_after(_in_world)

    _try("a world's namespaces", fork_world)
    os.waitpid(pid, 0)


def _in_world() -> None:
    attributes = _SAFE | mounts.MOUNT_ATTR_NOEXEC
    terminals: dict[str, str | None] = {"newinstance": None, "ptmxmode": "0666", "mode": "0620"}
    steps: dict[str, Callable[[], object]] = {
        "network": _set_up_network,
        "/proc": lambda: mounts.new_filesystem("proc", {}, attributes),
        "terminals": lambda: mounts.new_filesystem("devpts", terminals, mounts.MOUNT_ATTR_NOSUID),
    }
    for name, step in steps.items():
        _branch(lambda name=name, step=step: _try(name, step))  # type: ignore[misc]
    _try("the app's user namespace", _enter_app_namespace)
    _branch(lambda: _try("Landlock", _go_behind_landlock))
    _try("seccomp filter", _load_filter)


def _set_up_network() -> None:
    network.set_up([(each.purpose, each.data, each.required) for each in MESSAGES])


def _enter_app_namespace() -> None:
    namespaces.unshare(namespaces.CLONE_NEWUSER)
    namespaces.write_id_maps("/proc/self", APP_ID, APP_ID, APP_ID)


def _go_behind_landlock() -> None:
    process.set_no_new_privileges()
    ruleset_fd = second.ruleset("/", "/dev")
    if ruleset_fd is None:
        raise OSError(
            errno.EOPNOTSUPP, f"its version is {landlock.abi()}, and {landlock.ABI_REFER} is needed"
        )
    landlock.restrict_self(ruleset_fd)
    if (around_fd := second.world_ruleset("/")) is not None:
        landlock.restrict_self(around_fd)


def _load_filter() -> None:
    process.drop_capabilities()
    process.set_no_new_privileges()
    process.load_seccomp_filter(_ALLOW_ALL)
