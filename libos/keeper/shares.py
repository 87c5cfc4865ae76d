"""What a world may have of things that the kernel counts by user, or for the whole machine.

Namespaces do not part them: a world that took all signals that may wait, say, would leave none to the other
worlds of who started it, nor to his programs outside, were he root. So each has a share, a quarter of what
its user has. Rules:

- It is set in the app's own user namespace, where what is counted is the world's alone. Set before that is
  made, it would bound what all worlds of a user have together. user_namespaces(7), namespaces in
  /proc/sys/user.
- A program that is started in the world from outside has a share of its own.
- What is unlimited stays so: of that nobody can take all.
"""

from __future__ import annotations

import os
import resource

# Of what a user has: three worlds that take all leave some to him.
_PART = 4
# Signals that wait and timers, POSIX message queues, memory that is locked. getrlimit(2)
_LIMITS = (resource.RLIMIT_SIGPENDING, resource.RLIMIT_MSGQUEUE, resource.RLIMIT_MEMLOCK)
# Limits of a user namespace, by names in /proc/sys, and those of the host, which all show. inotify(7)
_WATCHING = {
    "user/max_inotify_instances": "fs/inotify/max_user_instances",
    "user/max_inotify_watches": "fs/inotify/max_user_watches",
}


def part(whole: int) -> int:
    """What one world has of so many; at least one."""
    return max(1, whole // _PART)


def take(sys_fd: int) -> None:
    """Bound this process's user namespace, and what this process becomes, to its share. `sys_fd` is a
    /proc/sys that can be written. Needs the rights of the namespace's root; raises OSError."""
    for limit in _LIMITS:
        soft, _ = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY:
            resource.setrlimit(limit, (part(soft), part(soft)))
    for own, host in _WATCHING.items():
        try:
            most = part(_read(sys_fd, host))
            fd = os.open(own, os.O_WRONLY | os.O_CLOEXEC, dir_fd=sys_fd)
        except FileNotFoundError:
            continue  # a kernel without inotify
        try:
            os.write(fd, b"%d" % most)
        finally:
            os.close(fd)


def terminals(sys_fd: int) -> int:
    """How many terminals a world may have. Some are kept for the host's own programs. pty(7)"""
    return part(_read(sys_fd, "kernel/pty/max") - _read(sys_fd, "kernel/pty/reserve"))


def _read(sys_fd: int, path: str) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=sys_fd)
    try:
        return int(os.read(fd, 32))
    finally:
        os.close(fd)
