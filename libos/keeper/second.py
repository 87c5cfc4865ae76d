"""The second wall, below the namespaces: Landlock, as far as the kernel has it.

Each program of a world goes behind a layer of its own, a wall that stands should a namespace, a mount flag or
a missing capability fail: it makes no device and, from ABI 5, commands none outside /dev. That it has rules
for files at all takes every mount call from it, and the tracing of whatever is not behind the same layer:
init first of all.

- Everything else on files is left to the mounts, since a ruleset is fixed when a program starts and what a
  world is granted is not. For the same reason TCP ports are not named here.
- Signals and abstract sockets (ABI 6) are left to the pid and the network namespace. A layer of each program
  would part the programs of one world; one around all of them, init too, cannot have rules for files, and
  then denies renames from one directory to another as soon as a program's own layer has some (Linux 6.18).
"""

from __future__ import annotations

import os

from libos.kernel import landlock


def ruleset(root: str, devices: str) -> int | None:
    """Give the ruleset of a world's programs, for `landlock.restrict_self`; None where the kernel lacks it.
    `root` and `devices` are the directories that will be / and /dev. Raises OSError."""
    abi = landlock.abi()
    if abi < landlock.ABI_REFER:
        return None
    commands = landlock.ACCESS_FS_IOCTL_DEV if abi >= landlock.ABI_IOCTL_DEV else 0
    # REFER is denied by every ruleset that does not allow it.
    denied = landlock.ACCESS_FS_MAKE_CHAR | landlock.ACCESS_FS_MAKE_BLOCK
    ruleset_fd = landlock.create_ruleset(denied | landlock.ACCESS_FS_REFER | commands)
    try:
        _allow(ruleset_fd, root, landlock.ACCESS_FS_REFER)
        if commands:
            _allow(ruleset_fd, devices, commands)
    except OSError:
        os.close(ruleset_fd)
        raise
    return ruleset_fd


def _allow(ruleset_fd: int, path: str, rights: int) -> None:
    directory_fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        landlock.allow_beneath(ruleset_fd, directory_fd, rights)
    finally:
        os.close(directory_fd)
