"""Landlock: what a process takes from itself and from all that it will start. landlock(7).

A ruleset says which rights it handles: these are then denied, but for what its rules allow. Rules lead by
files, not by paths. A process can go behind several rulesets, one after another; each must allow.
"""

from __future__ import annotations

import errno
import struct

from libos.kernel.syscalls import call

# landlock_create_ruleset(2), landlock_add_rule(2): linux/landlock.h
_VERSION = 1
_RULE_PATH_BENEATH = 1
ACCESS_FS_EXECUTE = 1 << 0
ACCESS_FS_WRITE_FILE = 1 << 1
ACCESS_FS_READ_FILE = 1 << 2
ACCESS_FS_READ_DIR = 1 << 3
ACCESS_FS_REMOVE_DIR = 1 << 4
ACCESS_FS_REMOVE_FILE = 1 << 5
ACCESS_FS_MAKE_CHAR = 1 << 6
ACCESS_FS_MAKE_DIR = 1 << 7
ACCESS_FS_MAKE_REG = 1 << 8
ACCESS_FS_MAKE_SOCK = 1 << 9
ACCESS_FS_MAKE_FIFO = 1 << 10
ACCESS_FS_MAKE_BLOCK = 1 << 11
ACCESS_FS_MAKE_SYM = 1 << 12
ACCESS_FS_REFER = 1 << 13  # ABI 2: to link and rename from one directory to another
ACCESS_FS_TRUNCATE = 1 << 14  # ABI 3
ACCESS_FS_IOCTL_DEV = 1 << 15  # ABI 5
# Those that a rule for what is no directory may have.
ACCESS_FILE = (
    ACCESS_FS_EXECUTE | ACCESS_FS_WRITE_FILE | ACCESS_FS_READ_FILE | ACCESS_FS_TRUNCATE | ACCESS_FS_IOCTL_DEV
)
# What is reached only where it is behind the same ruleset: ABI 6.
SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0
SCOPE_SIGNAL = 1 << 1
# The first ABI with each of these.
ABI_REFER, ABI_TRUNCATE, ABI_IOCTL_DEV, ABI_SCOPES = 2, 3, 5, 6
# What create_ruleset answers where Landlock is not built in, or not started with the kernel.
_ABSENT = (errno.ENOSYS, errno.EOPNOTSUPP)


def abi() -> int:
    """Give the version of Landlock that the kernel speaks; 0 where it speaks none. Raises OSError."""
    try:
        return call("ask for Landlock", "landlock_create_ruleset", None, 0, _VERSION)
    except OSError as error:
        if error.errno in _ABSENT:
            return 0
        raise


def create_ruleset(files: int, scopes: int = 0) -> int:
    """Give the descriptor of a new ruleset that handles rights on files, ACCESS_FS_*, and keeps in its domain
    what `scopes` says, SCOPE_*. Raises OSError (EINVAL for what the ABI does not have)."""
    # handled_access_fs, handled_access_net, scoped; an older kernel knows the first alone.
    attributes = struct.pack("=QQQ", files, 0, scopes) if scopes else struct.pack("=Q", files)
    return call("make a Landlock ruleset", "landlock_create_ruleset", attributes, len(attributes), 0)


def file_rights(abi: int) -> int:
    """Give all rights on files that a version has, from ABI 2 up."""
    newest = ACCESS_FS_REFER if abi < ABI_TRUNCATE else ACCESS_FS_TRUNCATE
    if abi >= ABI_IOCTL_DEV:
        newest = ACCESS_FS_IOCTL_DEV
    return 2 * newest - 1


def allow_beneath(ruleset_fd: int, directory_fd: int, files: int) -> None:
    """Allow rights on what stands at and beneath a directory, mounts included, or on a file. Raises
    OSError."""
    attributes = struct.pack("=Qi", files, directory_fd)
    doing = "add a Landlock rule"
    call(doing, "landlock_add_rule", ruleset_fd, _RULE_PATH_BENEATH, attributes, 0)


def restrict_self(ruleset_fd: int) -> None:
    """Go behind a ruleset. Takes no_new_privs, or CAP_SYS_ADMIN in the own user namespace. Raises OSError."""
    call("go behind a Landlock ruleset", "landlock_restrict_self", ruleset_fd, 0)
