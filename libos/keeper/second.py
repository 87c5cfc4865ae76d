"""The second wall, below the namespaces: Landlock, as far as the kernel has it, in two layers.

Around all programs of a world (starting.py): from ABI 6 signals and abstract unix sockets end at the world.
Around each program: it makes no device and, from ABI 5, commands none outside /dev; that it has rules for
files at all takes every mount call from it, and the tracing of whatever is not behind the same layer: init
first of all. Each stands should a namespace, a mount flag or a missing capability fail.

- Everything else on files is left to the mounts, since a ruleset is fixed when a program starts and what a
  world is granted is not.
- TCP ports (ABI 4) are not named, for the same reason: a dial that is granted later must connect, a port that
  is published later must be bound, and a pattern of addresses is no list of ports. The network namespace
  holds them, where nothing but a grant listens.
- Init is behind neither: it mounts. A layer around a world must have rules for files too, though it is not
  for them: one without makes the kernel refuse renames from one directory to another as soon as an inner
  layer has some (landlock(7), LANDLOCK_ACCESS_FS_REFER).
"""

from __future__ import annotations

import os

from libos.kernel import landlock

_SCOPES = landlock.SCOPE_ABSTRACT_UNIX_SOCKET | landlock.SCOPE_SIGNAL


def holds(abi: int) -> str:
    """What the second wall holds where the kernel's Landlock has this version, from ABI 2 up."""
    held = "mounts, tracing of init, making devices"
    if abi >= landlock.ABI_IOCTL_DEV:
        held += ", commands to devices outside /dev"
    if abi >= landlock.ABI_SCOPES:
        held += ", signals and abstract sockets out of the world"
    return held


def world_ruleset(root: str, scopes: int = _SCOPES) -> int | None:
    """Give the ruleset around all programs of a world, for `landlock.restrict_self`; None where the kernel
    lacks it. `root` is the directory that will be /. Raises OSError."""
    if landlock.abi() < landlock.ABI_SCOPES:
        return None
    ruleset_fd = landlock.create_ruleset(landlock.ACCESS_FS_REFER, scopes)
    return _allowing(ruleset_fd, [(root, landlock.ACCESS_FS_REFER)])


def ruleset(root: str, devices: str) -> int | None:
    """Give the ruleset around each program; None where the kernel lacks it. `root` and `devices` are the
    directories that will be / and /dev. Raises OSError."""
    abi = landlock.abi()
    if abi < landlock.ABI_REFER:
        return None
    commands = landlock.ACCESS_FS_IOCTL_DEV if abi >= landlock.ABI_IOCTL_DEV else 0
    # REFER is denied by every ruleset that does not allow it.
    denied = landlock.ACCESS_FS_MAKE_CHAR | landlock.ACCESS_FS_MAKE_BLOCK
    ruleset_fd = landlock.create_ruleset(denied | landlock.ACCESS_FS_REFER | commands)
    rules = [(root, landlock.ACCESS_FS_REFER)]
    return _allowing(ruleset_fd, [*rules, (devices, commands)] if commands else rules)


def _allowing(ruleset_fd: int, rules: list[tuple[str, int]]) -> int:
    """Give the ruleset with rules: rights beneath directories. Closes it where it raises OSError."""
    try:
        for path, rights in rules:
            _allow(ruleset_fd, path, rights)
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
