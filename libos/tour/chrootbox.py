"""Run a program under chroot(2) and nothing else, in a root that holds little besides: a child process's
entry.

    python -I -m libos.tour.chrootbox FOLDER COMMAND …

The learner's FOLDER gives `/files` and `/tour` (its `attack`), the host the programs of the system; all of it
is read-only. The program starts in `/jail`, which has the system's programs too, after chroot("/jail").

Rules:
- Chroot is no wall, which is what is shown. The walls are around it: namespaces of its own of each kind but
  cgroups, a root made by pivot_root(2) in which nothing of the caller's is mounted, no capability but that to
  chroot, no new privileges, no network, bounds on processes, processor time and memory.
- It dies with who started it, and all that it started with it.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator

from libos.kernel import mounts, namespaces, process

_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64")
_JAIL = "jail"
_NAMESPACES = (
    namespaces.CLONE_NEWUSER
    | namespaces.CLONE_NEWNS
    | namespaces.CLONE_NEWPID
    | namespaces.CLONE_NEWNET
    | namespaces.CLONE_NEWIPC
    | namespaces.CLONE_NEWUTS
)
# linux/capability.h
_CAP_SYS_CHROOT = 18
# Processes; seconds of a processor; bytes of memory of each process, and of the root's own files.
_PROCESSES, _SECONDS, _MEMORY, _OWN_FILES = 64, 10, 1 << 30, "1m"
_READ_ONLY = mounts.MOUNT_ATTR_RDONLY | mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
# A shell's status for a command that cannot be run.
_CANNOT_RUN = 126


def main() -> None:
    """Make the root, and run the command in it; ends with its status."""
    folder, *command = sys.argv[1:]
    process.die_with_parent()
    uid, gid = os.geteuid(), os.getegid()
    namespaces.unshare(_NAMESPACES)
    namespaces.write_id_maps("/proc/self", 0, uid, gid)
    child = os.fork()  # which is process 1 of the new pid namespace
    if child:
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    process.die_with_parent()
    try:
        _enter(folder)
        os.execvpe(command[0], command, _ENVIRONMENT)  # noqa: S606 - no shell is wanted
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", flush=True)
    os._exit(_CANNOT_RUN)


def _enter(folder: str) -> None:
    """Make the root and its jail, and leave everything else behind."""
    mounts.make_private()
    trees = dict(_trees(folder))
    attributes = mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV
    root_fd = mounts.new_filesystem("tmpfs", {"size": _OWN_FILES, "mode": "0755"}, attributes)
    mounts.attach_tree(root_fd, os.open(folder, os.O_PATH | os.O_DIRECTORY), folder)
    os.chdir(folder)  # resolved anew: this is the new root
    for path, tree_fd in trees.items():
        os.makedirs(path)
        mounts.attach_tree(tree_fd, os.open(path, os.O_PATH | os.O_DIRECTORY), path)
    mounts.pivot_root_here(".")
    process.close_from(3)
    for limit, value in (
        (resource.RLIMIT_NPROC, _PROCESSES),
        (resource.RLIMIT_CPU, _SECONDS),
        (resource.RLIMIT_AS, _MEMORY),
    ):
        resource.setrlimit(limit, (value, value))
    process.set_no_new_privileges()
    process.drop_capabilities([_CAP_SYS_CHROOT])
    os.chroot(_JAIL)
    os.chdir("/")


def _trees(folder: str) -> Iterator[tuple[str, int]]:
    """Read-only copies of what is to be in the root, by their paths there."""
    sources = {f"{_JAIL}/{name}": f"/{name}" for name in _SYSTEM if os.path.isdir(f"/{name}")}
    sources |= {"files": f"{folder}/files", f"{_JAIL}/tour": f"{folder}/attack"}
    for path, source in sources.items():
        fd = os.open(source, os.O_PATH | os.O_DIRECTORY)
        tree_fd = mounts.clone_tree(fd)
        mounts.set_tree(tree_fd, set_flags=_READ_ONLY)
        os.close(fd)
        yield path, tree_fd


if __name__ == "__main__":
    main()
