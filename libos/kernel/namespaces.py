"""Namespaces: clone(2) with flags, unshare(2), setns(2), and the id maps of user_namespaces(7).

`clone_process` is for a single-threaded process: the child goes on with the one thread that called.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Collection, Sequence
from typing import NamedTuple

from libos.kernel.syscalls import call, call_holding_gil

# linux/sched.h
CLONE_PIDFD = 0x00001000
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000


def unshare(flags: int) -> None:
    """Move this process into new namespaces. unshare(2). Never in a thread of a supervisor."""
    call("create namespaces", "unshare", flags)


def setns(namespace_fd: int, kind: int = 0) -> None:
    """Move this process into the namespace behind the descriptor. setns(2). Never in a supervisor."""
    call("enter a namespace", "setns", namespace_fd, kind)


def clone_process(flags: int) -> tuple[int, int]:
    """Fork into new namespaces at once: (pid, pidfd) in the parent, (0, -1) in the child. clone(2)."""
    pidfd = ctypes.create_string_buffer(4)
    flags |= CLONE_PIDFD | signal.SIGCHLD
    # Argument three is where the kernel puts the pidfd; stack, child tid and tls stay null: a plain fork.
    pid = call_holding_gil("create a process with namespaces", "clone", flags, None, pidfd)
    return (pid, int.from_bytes(pidfd.raw, sys.byteorder)) if pid else (0, -1)


class IdRange(NamedTuple):
    """`length` ids of a user namespace, from `inside` on, and those of its parent that stand behind them."""

    inside: int
    outside: int
    length: int


def write_id_maps(process: str, inside: int, uid: int, gid: int) -> None:
    """Map the one id `inside` of a process's user namespace to `uid` and `gid` of the caller's.

    `process` is its folder in a /proc, such as "/proc/self". Supplementary groups are frozen first, which the
    kernel asks of unprivileged writers. user_namespaces(7). Raises OSError (EPERM where the host forbids it).
    """
    write_id_ranges(process, [IdRange(inside, uid, 1)], [IdRange(inside, gid, 1)])


def write_id_ranges(
    process: str,
    uids: Sequence[IdRange],
    gids: Sequence[IdRange],
    *,
    groups: bool = False,
    only: Collection[str] = ("uid_map", "gid_map"),
) -> None:
    """Map ranges of ids, as `write_id_maps` maps one; with `groups` the namespace may set supplementary
    groups. More than the caller's own id takes CAP_SETUID and CAP_SETGID in the parent namespace. A map that
    `only` does not name is left as it is."""
    texts = {
        "setgroups": "allow" if groups else "deny",
        "uid_map": "\n".join(" ".join(map(str, each)) for each in uids),
        "gid_map": "\n".join(" ".join(map(str, each)) for each in gids),
    }
    for name, text in texts.items():
        if name not in only and not (name == "setgroups" and "gid_map" in only):
            continue
        path = f"{process}/{name}"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, text.encode())
            finally:
                os.close(fd)
        except OSError as error:
            raise OSError(error.errno, f"write {path} ({text}): {error.strerror}") from error
