"""Tries what the second wall forbids, as root of a user and a mount namespace of its own: `enclosed.py FOLDER
bare|behind`. Prints what came of each attempt as JSON: "done", or the errno's name.

With `behind` it goes behind the ruleset first, and behind nothing else: what then fails, Landlock stopped.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import struct
import sys
import termios
from collections.abc import Callable

from libos.keeper import second
from libos.kernel import landlock, mounts, namespaces, process


def main(folder: str, how: str) -> None:
    uid, gid = os.geteuid(), os.getegid()
    namespaces.unshare(namespaces.CLONE_NEWUSER | namespaces.CLONE_NEWNS)
    namespaces.write_id_maps("/proc/self", 0, uid, gid)
    mounts.make_private()
    os.chdir(folder)
    for name in ("point", "pts", "one", "two", "other", "shown"):
        os.mkdir(name)
    mounts.mount("pts", "pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620")
    mounts.mount("covered", "point", "tmpfs", 0, None)
    victim = os.fork()
    if victim == 0:
        process.die_with_parent()
        os.read(os.pipe()[0], 1)
    if how == "behind":
        process.set_no_new_privileges()
        ruleset_fd = second.ruleset("/", "/dev")
        assert ruleset_fd is not None
        landlock.restrict_self(ruleset_fd)
    print(json.dumps({name: _outcome(attempt, victim) for name, attempt in ATTEMPTS.items()}))


def _outcome(attempt: Callable[[int], object], victim: int) -> str:
    try:
        attempt(victim)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def _size_of_a_terminal(path: str) -> None:
    """Any command will do: it is sent to a device."""
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, termios.TIOCGWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
    finally:
        os.close(fd)


def _move_between_directories(_: int) -> None:
    os.close(os.open("one/file", os.O_CREAT | os.O_WRONLY, 0o644))
    os.rename("one/file", "two/file")
    os.link("two/file", "one/link")


ATTEMPTS: dict[str, Callable[[int], object]] = {
    "mount": lambda _: mounts.mount("x", "other", "tmpfs", 0, None),
    "bind": lambda _: mounts.mount("/usr", "shown", None, mounts.MS_BIND, None),
    "unmount": lambda _: mounts.unmount("point"),
    "write a process's memory": lambda victim: os.open(f"/proc/{victim}/mem", os.O_RDWR),
    "a process's root": lambda victim: os.listdir(f"/proc/{victim}/root/"),
    "a whiteout": lambda _: os.mknod("whiteout", stat.S_IFCHR | 0o644, 0),
    "command a device": lambda _: _size_of_a_terminal("pts/ptmx"),
    "command a device of /dev": lambda _: _size_of_a_terminal("/dev/ptmx"),
    "read and write": lambda _: os.write(os.open("plain", os.O_CREAT | os.O_RDWR, 0o644), b"x"),
    "move between directories": _move_between_directories,
    "a FIFO": lambda _: os.mkfifo("fifo"),
}

if __name__ == "__main__":
    main(*sys.argv[1:])
