"""A directory in which some files of the host may be replaced by rename, and all else is in memory.

Many programs save a file by writing a new one beside it and renaming that over it. A file that is mounted by
itself cannot be replaced so: its name is a mount point (EBUSY), and its directory has no place for the other.
Here its directory is served. Rules:

- A replaceable file is the host's: read and written through, and looked up anew each time.
- Renaming a regular file over it replaces the host's file: the content is written beside it, made durable,
  and renamed, so the host has the old or the new file and never part of one. With no room left nothing
  changes: ENOSPC.
- Renaming it away, as for a backup, copies it; its name is then free in the world until something new is
  put there. The host's file stays until then: it is replaced, never removed. Removing it is EBUSY.
- Everything else that is made here is in memory, within a limit, and ends with the world. Mount points in the
  directory are EBUSY.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress

import trio

from libos.fs.host import HostDirectory
from libos.fs.host_nodes import HostNode
from libos.fs.memory import RENAME_NOREPLACE, memory_tree
from libos.fs.memory_nodes import MemoryFile
from libos.fs.node import CHANGING, Attributes, Caller, Change, Directory, File, Handle, Node, refusal
from libos.fs.skeleton import OnAbsent, Point

# Bytes that what is made beside the files may take: settings files and their temporaries are small.
SCRATCH_BYTES = 64 << 20
_BLOCK = 1 << 20
# Seconds to take a temporary file away; only a file system that is stuck needs longer.
_END_TIMEOUT = 10.0


class Replaceables(Point):
    """The directory. `put` with a node of a host tree, then `allow` its name, makes it replaceable."""

    cache = CHANGING

    def __init__(self, path: bytes, on_absent: OnAbsent) -> None:
        super().__init__(path, on_absent)
        self._scratch = memory_tree(limit_bytes=SCRATCH_BYTES)
        self._allowed: dict[bytes, tuple[HostDirectory, bytes]] = {}
        self._away: set[bytes] = set()  # renamed away, and nothing new there yet
        self._turn = trio.Lock()

    def allow(self, name: bytes, node: Node) -> None:
        """Let a file of the host, which stands at `name`, be replaced. ValueError for any other node."""
        if not isinstance(node, HostNode) or not isinstance(node.parent, HostDirectory):
            raise ValueError("only a file in a directory of the host can be replaced")
        self._allowed[name] = (node.parent, node.name)

    def known(self) -> Attributes:
        attributes = super().known()
        return attributes._replace(mode=stat.S_IFDIR | 0o755)

    def _place(self, name: bytes) -> tuple[HostDirectory, bytes] | None:
        """Where the host's file of a name is; None for all other names. A grant that is gone has none."""
        return self._allowed.get(name) if name in self.children else None

    def _present(self, name: bytes) -> tuple[HostDirectory, bytes] | None:
        return None if name in self._away else self._place(name)

    def _is_point(self, name: bytes) -> bool:
        return name in self.children and name not in self._allowed

    # --- looking

    async def walk(self, name: bytes) -> Node:
        if self._is_point(name):
            return self.children[name]
        place = self._present(name)
        with suppress(FileNotFoundError):
            if place is not None:
                return await place[0].walk(place[1])
            return await self._scratch.walk(name)
        await self.tell_absent(name)
        raise refusal(errno.ENOENT, name)

    async def readdir(self) -> list[bytes]:
        fixed = [name for name in self.children if name not in self._away]
        return [*fixed, *await self._scratch.readdir()]

    # --- making

    async def create(self, name: bytes, mode: int, flags: int, caller: Caller) -> tuple[Node, Handle]:
        self._refuse_taken(name)
        place = self._place(name)
        if place is None:
            return await self._scratch.create(name, mode, flags, caller)
        async with self._turn:
            folder, host_name = place
            temporary = _temporary()
            made = await folder.create(temporary, mode, flags, caller)
            await _rename_or_remove(folder, temporary, host_name)
            self._away.discard(name)
            return made

    async def mkdir(self, name: bytes, mode: int, caller: Caller) -> Node:
        self._refuse_other(name)
        return await self._scratch.mkdir(name, mode, caller)

    async def symlink(self, name: bytes, target: bytes, caller: Caller) -> Node:
        self._refuse_other(name)
        return await self._scratch.symlink(name, target, caller)

    async def mknod(self, name: bytes, mode: int, device: int, caller: Caller) -> Node:
        self._refuse_other(name)
        return await self._scratch.mknod(name, mode, device, caller)

    async def link(self, name: bytes, node: Node) -> None:
        self._refuse_other(name)
        await self._scratch.link(name, node)

    def _refuse_taken(self, name: bytes) -> None:
        if self._is_point(name) or self._present(name) is not None:
            raise refusal(errno.EEXIST, name)

    def _refuse_other(self, name: bytes) -> None:
        """The name of a replaceable file is for regular files alone."""
        self._refuse_taken(name)
        if self._place(name) is not None:
            raise refusal(errno.EPERM, name)

    # --- removing and moving

    async def remove(self, name: bytes, *, directory: bool) -> None:
        if self._is_point(name) or self._present(name) is not None:
            raise refusal(errno.EBUSY, name)
        await self._scratch.remove(name, directory=directory)

    async def rename(self, name: bytes, parent: Directory, new_name: bytes, flags: int) -> None:
        if self._is_point(name) or self._is_point(new_name):
            raise refusal(errno.EBUSY, name)
        source, target = self._present(name), self._place(new_name)
        if source is None and target is None:
            inside = self._scratch if parent is self else parent
            await self._scratch.rename(name, inside, new_name, flags)
            return
        if parent is not self:
            raise refusal(errno.EXDEV, name)
        if flags & ~RENAME_NOREPLACE:
            raise refusal(errno.EINVAL, name)
        if flags and await self._exists(new_name):
            raise refusal(errno.EEXIST, new_name)
        if name == new_name:
            return
        async with self._turn:
            if target is not None:
                await self._replace(name, new_name, target)
            else:
                await self._copy_away(name, new_name)

    async def _exists(self, name: bytes) -> bool:
        if self._present(name) is not None:
            return True
        return name in await self._scratch.readdir()

    async def _replace(self, name: bytes, new_name: bytes, target: tuple[HostDirectory, bytes]) -> None:
        """Put what stands at `name` in the place of the host's file."""
        node = await self.walk(name)
        if not isinstance(node, File):
            raise refusal(errno.EISDIR if isinstance(node, Directory) else errno.EPERM, name)
        folder, host_name = target
        temporary = _temporary()
        found = await node.stat()
        made, handle = await folder.create(temporary, found.mode & 0o777, os.O_WRONLY, Caller())
        try:
            await _copy(node, handle)
            await handle.fsync(data_only=False)
            await made.setattr(Change(atime=found.atime, mtime=found.mtime))
        except BaseException:
            with trio.move_on_after(_END_TIMEOUT, shield=True):
                await _close_and_remove(handle, folder, temporary)
            raise
        await handle.close()
        await _rename_or_remove(folder, temporary, host_name)
        await folder.fsync(data_only=False)
        self._away.discard(new_name)
        if self._present(name) is None:
            await self._scratch.remove(name, directory=False)
        else:
            self._away.add(name)

    async def _copy_away(self, name: bytes, new_name: bytes) -> None:
        """Copy the host's file to another name, in memory, and let its own name go for now."""
        node = await self.walk(name)
        assert isinstance(node, File)
        found = await node.stat()
        temporary = _temporary()
        copy, handle = await self._scratch.create(temporary, found.mode & 0o777, os.O_WRONLY, Caller())
        assert isinstance(copy, MemoryFile)
        try:
            await _copy(node, handle)
            await copy.setattr(Change(atime=found.atime, mtime=found.mtime))
            await self._scratch.rename(temporary, self._scratch, new_name, 0)
        except BaseException:
            with trio.move_on_after(_END_TIMEOUT, shield=True):
                await _close_and_remove(handle, self._scratch, temporary)
            raise
        await handle.close()
        self._away.add(name)


async def _copy(node: File, target: Handle) -> None:
    source = await node.open(os.O_RDONLY, Caller())
    try:
        offset = 0
        while data := await source.read(offset, _BLOCK):
            await target.write(offset, data)
            offset += len(data)
    finally:
        await source.close()  # noqa: ASYNC102 - of the host or of memory: it does not wait


async def _close_and_remove(handle: Handle, folder: Directory, name: bytes) -> None:
    await handle.close()
    await folder.remove(name, directory=False)


async def _rename_or_remove(folder: HostDirectory, temporary: bytes, name: bytes) -> None:
    try:
        await folder.rename(temporary, folder, name, 0)
    except OSError:
        with trio.move_on_after(_END_TIMEOUT, shield=True):
            await folder.remove(temporary, directory=False)
        raise


def _temporary() -> bytes:
    return b".libos-" + secrets.token_hex(8).encode()
