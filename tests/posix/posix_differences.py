"""What a served tree does otherwise than a directory of the host, each with its reason.

A difference that happens no more must leave this table: the tests say so. docs/reference/nodes.md has every
reason, word for word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from libos.kernel import landlock

EVERY = frozenset({"host", "memory", "copy-on-write"})


@dataclass(frozen=True)
class Difference:
    """The cases of a group, by a pattern for their whole names, and what comes of them, by a pattern too.
    `on`: the subjects."""

    group: str
    cases: str
    outcome: str
    reason: str
    on: frozenset[str] = EVERY

    def explains(self, subject: str, case: str, outcome: str) -> bool:
        """Whether this is it."""
        return (
            subject in self.on
            and re.fullmatch(self.cases, case, re.DOTALL) is not None
            and re.fullmatch(self.outcome, outcome, re.DOTALL) is not None
        )


ONE_USER = "a world has one user and one group: giving a file to another is EINVAL"
NO_PRIVILEGE = "set-user-id and set-group-id bits cannot be set: a world's system-call filter says EPERM"
NO_ACL = "access control lists are EOPNOTSUPP: they name users of the host"
NO_WHITEOUT = "RENAME_WHITEOUT is EINVAL"
NO_BIRTH = "statx(2)'s birth time is not there"
ALL_DATA = "SEEK_DATA and SEEK_HOLE: the whole file is data"
NO_FALLOCATE = "fallocate(2) is EOPNOTSUPP; posix_fallocate(3) writes zeros instead"
NO_DEVICE = "mknod(2) of a device is EACCES where the kernel has Landlock, and never EPERM"
NO_TMPFILE = "O_TMPFILE is EOPNOTSUPP; a file made with a name and unlinked does the same"

DIFFERENCES: tuple[Difference, ...] = (
    Difference("one_path", "chown to another( group)?, .*", "EINVAL", ONE_USER),
    Difference("one_path", "[gs]et ACL, .*", "ENOTSUP", NO_ACL),
    Difference("one_path", "rename WHITEOUT, .*", "EINVAL", NO_WHITEOUT),
    Difference("metadata", "access_control_lists [123]", "ENOTSUP", NO_ACL),
    Difference("metadata", "access_control_lists 4", "EINVAL", NO_ACL),
    Difference("metadata", "access_control_lists 5", r"\[\]", NO_ACL),
    Difference("metadata", "every_permission_bit .*", r"\('EPERM', .*", NO_PRIVILEGE),
    Difference("metadata", "set_gid_directory .*|privilege_bits_go_.*", "|ended by Perm.*", NO_PRIVILEGE),
    Difference("metadata", "statx 2", r"\('birth', False\)", NO_BIRTH),
    Difference("content", "holes 3", r"\('0', '16777216'\)", ALL_DATA),
    Difference("content", "holes 4", r"\('16777216', '9437184'\)", ALL_DATA),
    Difference("content", "space [1-4]", r"\('ENOTSUP', .*", NO_FALLOCATE),
    Difference("content", "space 5", "ENOTSUP", NO_FALLOCATE),
    Difference("content", "temporary_files .*", "ENOTSUP|", NO_TMPFILE),
)
if landlock.abi() >= landlock.ABI_REFER:
    DIFFERENCES += (Difference("one_path", "mknod device, .*", "EACCES", NO_DEVICE),)

# A read-only mount of the kernel answers EROFS before it looks at anything else.
READ_ONLY = "which error comes first: a served read-only tree looks at the name and the rights first"
# The kernel asks nobody where it knows the mode.
READ_ONLY_ACCESS = "access(2) with W_OK goes by the mode, on a served read-only tree too; opening is EROFS"
# A copy-on-write tree against the kernel's overlay, on files that the host has.
OVERLAY = (Difference("one_path", "get ACL, .*|set ACL, .*", "ENOTSUP", NO_ACL),)
