"""The requests about names: look up, make, remove, rename, link, list."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from typing import Any

from libos.fs.dispatch import AnyInode, Dispatch, caller_of, directory_of, on_inode
from libos.fs.moving import RENAME_EXCHANGE, rename
from libos.fs.recording import ABSENT, CREATE, LOOK, REMOVE


class Naming(Dispatch):
    """FUSE's requests about names; see dispatch for what they share."""

    @on_inode
    async def lookup(self, parent: AnyInode, name: bytes, ctx: Any) -> Any:
        try:
            entry = self.enter(parent, name, await directory_of(parent, name).walk(name))
        except FileNotFoundError:
            self.used_name(parent, name, ABSENT)
            if seconds := directory_of(parent).keeps_absent(name):
                return self.nothing(seconds)
            raise
        if parent.world is not None:
            self.used(parent.names[name], LOOK)
        return entry

    async def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        for number, count in inode_list:
            self.inodes.forget(number, count)

    @on_inode
    async def mknod(self, parent: AnyInode, name: bytes, mode: int, rdev: int, ctx: Any) -> Any:
        return self._made(
            parent, name, await directory_of(parent, name).mknod(name, mode, rdev, caller_of(ctx, parent))
        )

    @on_inode
    async def mkdir(self, parent: AnyInode, name: bytes, mode: int, ctx: Any) -> Any:
        mode = stat.S_IMODE(mode)
        return self._made(
            parent, name, await directory_of(parent, name).mkdir(name, mode, caller_of(ctx, parent))
        )

    @on_inode
    async def symlink(self, parent: AnyInode, name: bytes, target: bytes, ctx: Any) -> Any:
        return self._made(
            parent, name, await directory_of(parent, name).symlink(name, target, caller_of(ctx, parent))
        )

    @on_inode
    async def link(self, inode: AnyInode, new_parent: int, new_name: bytes, ctx: Any) -> Any:
        parent = self.other(new_parent)
        await directory_of(parent, new_name).link(new_name, inode.node)
        self.tell_others(inode)
        return self._made(parent, new_name, inode.node)

    def _made(self, parent: AnyInode, name: bytes, node: object) -> Any:
        entry = self.enter(parent, name, node)
        parent.names[name].made = True
        self.used(parent.names[name], CREATE)
        self.tell_others(parent, name)
        return entry

    @on_inode
    async def unlink(self, parent: AnyInode, name: bytes, ctx: Any) -> None:
        await self._remove(parent, name, directory=False)

    @on_inode
    async def rmdir(self, parent: AnyInode, name: bytes, ctx: Any) -> None:
        await self._remove(parent, name, directory=True)

    async def _remove(self, parent: AnyInode, name: bytes, *, directory: bool) -> None:
        await directory_of(parent, name).remove(name, directory=directory)
        self.used_name(parent, name, REMOVE)
        removed = parent.names.get(name)
        self.inodes.displace(parent, name)
        self.tell_others(parent, name)
        if removed is not None:
            self.tell_others(removed)

    @on_inode
    async def rename(
        self, parent: AnyInode, name: bytes, new_parent: int, new_name: bytes, flags: int, ctx: Any
    ) -> None:
        target = self.other(new_parent)
        await rename(directory_of(parent, name), name, directory_of(target, new_name), new_name, flags)
        self.used_name(parent, name, REMOVE)
        self.used_name(target, new_name, CREATE)
        moved, replaced = parent.names.get(name), target.names.get(new_name)
        if moved is not None and moved is not replaced:
            self.inodes.place(moved, target, new_name)
            moved.made = True
        if replaced is not None and flags & RENAME_EXCHANGE:
            self.inodes.place(replaced, parent, name)
            replaced.made = True
        self.tell_others(parent, name)
        self.tell_others(target, new_name)
        if parent.world is not None and parent.world.uses is not None and _directories(moved, replaced):
            parent.world.uses.moved()


def _directories(*inodes: AnyInode | None) -> bool:
    return any(inode is not None and inode.node.kind == stat.S_IFDIR for inode in inodes)
