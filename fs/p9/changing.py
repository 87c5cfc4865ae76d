"""The requests of 9P2000.L that change a tree: EROFS where it is served read-only.

Device files, other owners and set-id bits are refused (EPERM): a client has no say in whose files these are.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from libos.fs.checks import checked_handle
from libos.fs.moving import rename
from libos.fs.node import TARGET_MAX, Caller, Change, Node, refusal
from libos.fs.p9 import messages as p9
from libos.fs.p9.messages import Message
from libos.fs.p9.reading import Reading, opening

_KINDS = (0, stat.S_IFREG, stat.S_IFIFO, stat.S_IFSOCK)
_SET_IDS = stat.S_ISUID | stat.S_ISGID


class Changing(Reading):
    """See `Reading`."""

    async def create(self, number: int, name: bytes, flags: int, mode: int, _gid: int) -> Message:
        """Makes a file, which the fid of its directory then stands for, open. EEXIST where the name is
        taken, as with O_EXCL."""
        self.require_writable()
        fid = self.fid(number)
        if fid.is_open:
            raise refusal(errno.EBUSY)
        wanted = opening(flags) | os.O_CREAT | os.O_EXCL
        made, handle = await fid.directory().create(name, _plain(mode), wanted, Caller())
        fid.node, fid.handle = made, checked_handle(handle)
        return Message(p9.RLCREATE, (self.qid(made), 0))

    async def mkdir(self, number: int, name: bytes, mode: int, _gid: int) -> Message:
        """mkdir(2)."""
        self.require_writable()
        made = await self.fid(number).directory().mkdir(name, _plain(mode), Caller())
        return self._made(p9.RMKDIR, made)

    async def symlink(self, number: int, name: bytes, target: bytes, _gid: int) -> Message:
        """symlink(2)."""
        self.require_writable()
        if not 0 < len(target) <= TARGET_MAX:
            raise refusal(errno.ENOENT)
        return self._made(p9.RSYMLINK, await self.fid(number).directory().symlink(name, target, Caller()))

    async def mknod(
        self, number: int, name: bytes, mode: int, _major: int, _minor: int, _gid: int
    ) -> Message:
        """mknod(2) of a regular file, a FIFO or a socket."""
        self.require_writable()
        if stat.S_IFMT(mode) not in _KINDS:
            raise refusal(errno.EPERM)
        kind = stat.S_IFMT(mode) or stat.S_IFREG
        made = await self.fid(number).directory().mknod(name, kind | _plain(mode), 0, Caller())
        return self._made(p9.RMKNOD, made)

    async def link(self, directory: int, number: int, name: bytes) -> Message:
        """link(2)."""
        self.require_writable()
        await self.fid(directory).directory().link(name, self.fid(number).node)
        return Message(p9.RLINK, ())

    async def setattr(
        self, number: int, valid: int, mode: int, _uid: int, _gid: int, size: int, *times: int
    ) -> Message:
        """Mode, size and times."""
        self.require_writable()
        if valid & (p9.SET_UID | p9.SET_GID):
            raise refusal(errno.EPERM)
        if valid & p9.SET_SIZE and size >= 1 << 63:
            raise refusal(errno.EFBIG)
        change = Change(
            mode=_plain(mode) if valid & p9.SET_MODE else None,
            size=size if valid & p9.SET_SIZE else None,
            atime=_time(valid, p9.SET_ATIME, p9.SET_ATIME_GIVEN, times[:2]),
            mtime=_time(valid, p9.SET_MTIME, p9.SET_MTIME_GIVEN, times[2:]),
        )
        await self.fid(number).node.setattr(change)
        return Message(p9.RSETATTR, ())

    async def rename(self, old: int, name: bytes, new: int, new_name: bytes) -> Message:
        """rename(2)."""
        self.require_writable()
        await rename(self.fid(old).directory(), name, self.fid(new).directory(), new_name, 0)
        return Message(p9.RRENAMEAT, ())

    async def unlink(self, number: int, name: bytes, flags: int) -> Message:
        """unlink(2), rmdir(2)."""
        self.require_writable()
        directory = bool(flags & p9.REMOVE_DIRECTORY)
        await self.fid(number).directory().remove(name, directory=directory)
        return Message(p9.RUNLINKAT, ())

    async def write(self, number: int, offset: int, data: bytes) -> Message:
        """Bytes of an open file; the handle knows whether it was opened for writing."""
        self.require_writable()
        count = await self.handle(number, offset).write(offset, data)
        return Message(p9.RWRITE, (count,))

    async def fsync(self, number: int, data_only: int) -> Message:
        """fsync(2), fdatasync(2)."""
        fid = self.fid(number)
        if fid.handle is not None:
            await fid.handle.fsync(data_only=bool(data_only))
        else:
            await fid.directory().fsync(data_only=bool(data_only))
        return Message(p9.RFSYNC, ())

    def _made(self, kind: int, node: Node) -> Message:
        return Message(kind, (self.qid(node),))


def _plain(mode: int) -> int:
    """The permission bits. EPERM for set-id bits."""
    if mode & _SET_IDS:
        raise refusal(errno.EPERM)
    return stat.S_IMODE(mode)


def _time(valid: int, meant: int, given: int, parts: tuple[int, ...]) -> int | None:
    """A time in nanoseconds since 1970; now where none is given."""
    if not valid & meant:
        return None
    if not valid & given:
        return time.time_ns()
    seconds, nanoseconds = parts
    if seconds >= 1 << 33 or nanoseconds >= 10**9:
        raise refusal(errno.EINVAL)
    return seconds * 10**9 + nanoseconds
