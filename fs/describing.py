"""The requests about what a node is: attributes, a link's target, extended attributes."""

from __future__ import annotations

import errno
import stat
from typing import Any

from libos.fs.checks import checked_attributes, checked_bytes, checked_target
from libos.fs.dispatch import AnyInode, Dispatch, on_inode, owner_at
from libos.fs.node import APP, Change, Symlink, refusal
from libos.fs.recording import CHANGE, FOLLOW, LOOK, WRITE


class Describing(Dispatch):
    """FUSE's requests about attributes; see dispatch for what they share."""

    @on_inode
    async def getattr(self, inode: AnyInode, ctx: Any) -> Any:
        self.used(inode, LOOK)
        return self.entry(inode, checked_attributes(await inode.node.stat()))

    @on_inode
    async def setattr(self, inode: AnyInode, attr: Any, fields: Any, fh: Any, ctx: Any) -> Any:
        uid, gid = owner_at(inode)
        change = Change(
            stat.S_IMODE(attr.st_mode) if fields.update_mode else None,
            (APP[0] if attr.st_uid == uid else attr.st_uid) if fields.update_uid else None,
            (APP[1] if attr.st_gid == gid else attr.st_gid) if fields.update_gid else None,
            attr.st_size if fields.update_size else None,
            attr.st_atime_ns if fields.update_atime else None,
            attr.st_mtime_ns if fields.update_mtime else None,
        )
        attributes = checked_attributes(await inode.node.setattr(change))
        self.used(inode, CHANGE if change.size is None else WRITE)
        self.tell_others(inode)
        return self.entry(inode, attributes)

    @on_inode
    async def readlink(self, inode: AnyInode, ctx: Any) -> bytes:
        if not isinstance(inode.node, Symlink):
            raise refusal(errno.EINVAL)
        self.used(inode, FOLLOW)
        return checked_target(await inode.node.readlink())

    @on_inode
    async def getxattr(self, inode: AnyInode, name: bytes, ctx: Any) -> bytes:
        return checked_bytes(await inode.node.getxattr(name))

    @on_inode
    async def listxattr(self, inode: AnyInode, ctx: Any) -> list[bytes]:
        return [checked_bytes(name) for name in await inode.node.listxattr()]

    @on_inode
    async def setxattr(self, inode: AnyInode, name: bytes, value: bytes, ctx: Any) -> None:
        await inode.node.setxattr(name, value)
        self.used(inode, CHANGE)

    @on_inode
    async def removexattr(self, inode: AnyInode, name: bytes, ctx: Any) -> None:
        await inode.node.removexattr(name)
        self.used(inode, CHANGE)
