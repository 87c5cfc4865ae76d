"""What files that are programs have in common: a size that nobody knows, and a content that cannot be cut."""

from __future__ import annotations

import errno
import os
import stat
import time

from libos.fs.node import STREAM, Attributes, Change, File, refusal


def fixed(mode: int, size: int, owner: tuple[int, int]) -> Attributes:
    """Attributes of something made now that does not change."""
    now = time.time_ns()
    blocks = (size + 511) // 512
    return Attributes(mode, size, 1, *owner, atime=now, mtime=now, ctime=now, blocks=blocks)


class ProgramFile(File):
    """A regular file as in proc(5). Truncating it does nothing, as with a device; its mode, owner and times
    are its maker's (EPERM)."""

    cache = STREAM

    def __init__(
        self, mode: int, owner: tuple[int, int], deadline: float | None = None, size: int = 0
    ) -> None:
        self._attributes = fixed(stat.S_IFREG | stat.S_IMODE(mode), size, owner)
        self.deadline = deadline

    def known(self) -> Attributes:
        return self._attributes

    async def setattr(self, change: Change) -> Attributes:
        if change._replace(size=None) != Change():
            raise refusal(errno.EPERM)
        return self._attributes

    def refuse_other_than(self, access: int, flags: int) -> None:
        """EACCES for another access mode than this one; open(2)."""
        if flags & os.O_ACCMODE != access or (access == os.O_RDONLY and flags & os.O_TRUNC):
            raise refusal(errno.EACCES)
