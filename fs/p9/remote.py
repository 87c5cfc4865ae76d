"""What a 9P2000.L server serves, as nodes.

What the server says is believed within bounds only: every file is the app's, its mode is without set-id bits
(and without write bits where the mount is read-only), a qid is one kind of file for ever, and there are no
devices. Nothing is cached: each use asks the server.
"""

from __future__ import annotations

import errno
import os
import stat
import weakref
from typing import Any
from weakref import WeakValueDictionary

import trio

from libos.fs.moving import RENAME_NOREPLACE
from libos.fs.node import (
    APP,
    TARGET_MAX,
    Attributes,
    Caller,
    Change,
    Directory,
    File,
    Handle,
    Node,
    ReportedError,
    Symlink,
    refusal,
)
from libos.fs.p9 import messages as p9
from libos.fs.p9.client import DEADLINE, Client
from libos.fs.p9.messages import Qid
from libos.fs.p9.opened import RemoteHandle, cloned, listing, opened, spoken

_LONGEST = 1 << 63
_SPECIAL = (stat.S_IFIFO, stat.S_IFSOCK)


class Tree:
    """The nodes of one connection. `writable` is what the app may do, whatever the server would."""

    def __init__(self, client: Client, *, writable: bool) -> None:
        self.client = client
        self.writable = writable
        self._nodes: WeakValueDictionary[tuple[int, int], Remote] = WeakValueDictionary()

    async def node(self, fid: int, qid: Qid) -> Remote:
        """The node of a file, which takes over the fid."""
        known = self._nodes.get((qid.kind, qid.path))
        if known is None:
            try:
                told = await self.client.ask(p9.TGETATTR, fid, p9.BASIC)
            except (OSError, trio.Cancelled):
                self.client.drop(fid)
                raise
            known = self._nodes.get((qid.kind, qid.path))  # somebody else was first, meanwhile
        if known is not None:
            self.client.drop(fid)
            return known
        made = self._made(fid, qid, stat.S_IFMT(told[2]))
        made.size = told[7]
        self._nodes[qid.kind, qid.path] = made
        weakref.finalize(made, self.client.drop, fid).atexit = False
        return made

    def _made(self, fid: int, qid: Qid, kind: int) -> Remote:
        if {0x80: stat.S_IFDIR, 0x02: stat.S_IFLNK}.get(qid.kind, kind) != kind:
            self.client.drop(fid)
            raise ReportedError(errno.EIO, f"9P: a file of kind {qid.kind:#x} and of mode {kind:o}")
        if kind == stat.S_IFDIR:
            return RemoteDirectory(self, fid)
        if kind == stat.S_IFLNK:
            return RemoteLink(self, fid)
        if kind in _SPECIAL:
            return RemoteSpecial(self, fid, kind)
        if kind != stat.S_IFREG:
            self.client.drop(fid)
            raise refusal(errno.EACCES)
        return RemoteFile(self, fid)


class Remote(Node):
    """What all files of the server have in common."""

    def __init__(self, tree: Tree, fid: int) -> None:
        self.tree = tree
        self.fid = fid
        self.size = 0  # as last told

    async def live(self) -> Client:
        """The connection by which it is asked. The root may make another one."""
        return self.tree.client

    async def ask(self, kind: int, *fields: object) -> tuple[Any, ...]:
        """What the server replies to a request about this file."""
        client = await self.live()
        return await client.ask(kind, self.fid, *fields)

    def require_writable(self, name: bytes | None = None) -> None:
        """EROFS where the mount is read-only."""
        if not self.tree.writable:
            raise refusal(errno.EROFS, name)

    async def stat(self) -> Attributes:
        _, _, mode, _, _, links, _, size, _, blocks, *times = await self.ask(p9.TGETATTR, p9.BASIC)
        if stat.S_IFMT(mode) != self.kind or size >= _LONGEST:
            raise ReportedError(errno.EIO, f"9P: a file of mode {mode:o} and {size} bytes")
        self.size = size
        shown = self.kind | mode & (0o1777 if self.tree.writable else 0o1555)
        atime, mtime, ctime = (
            min(times[at] * 10**9 + times[at + 1] % 10**9, _LONGEST - 1) for at in (0, 2, 4)
        )
        links, blocks = min(links, 0x7FFFFFFF), min(blocks, _LONGEST >> 9)
        return Attributes(shown, size, links, APP[0], APP[1], 0, atime, mtime, ctime, blocks)

    async def setattr(self, change: Change) -> Attributes:
        self.require_writable()
        if change.uid not in (None, APP[0]) or change.gid not in (None, APP[1]):
            raise refusal(errno.EPERM)
        given = (change.mode, None, None, change.size, change.atime, change.mtime)
        valid = sum(1 << bit for bit, value in enumerate(given) if value is not None)
        valid |= p9.SET_ATIME_GIVEN if change.atime is not None else 0
        valid |= p9.SET_MTIME_GIVEN if change.mtime is not None else 0
        if valid:
            times = [
                part for time in (change.atime, change.mtime) for part in divmod(max(time or 0, 0), 10**9)
            ]
            mode, size = (change.mode or 0) & 0o1777, change.size or 0
            await self.ask(p9.TSETATTR, valid, mode, 0, 0, size, *times)
        return await self.stat()


class RemoteDirectory(Remote, Directory):
    """A directory of the server's."""

    async def walk(self, name: bytes) -> Node:
        client = await self.live()
        tree, fid = self.tree, client.fid()
        (qids,) = await client.ask(p9.TWALK, self.fid, fid, (name,), makes=fid)
        if len(qids) != 1:
            raise ReportedError(errno.EIO, "9P: a walk of one name led to no file or to many")
        return await tree.node(fid, qids[0])

    async def readdir(self) -> list[bytes]:
        return await listing(await self.live(), self.fid)

    async def create(self, name: bytes, mode: int, flags: int, caller: Caller) -> tuple[Node, Handle]:
        self.require_writable(name)
        client = await self.live()
        fid = await cloned(client, self.fid)
        how = p9.CREATE | p9.EXCLUSIVE | spoken(flags)
        try:
            await client.ask(p9.TLCREATE, fid, name, how, mode & 0o1777, APP[1])
            return await self.walk(name), RemoteHandle(client, fid)
        except (OSError, trio.Cancelled):
            client.drop(fid)
            raise

    async def mkdir(self, name: bytes, mode: int, caller: Caller) -> Node:
        return await self._make(p9.TMKDIR, name, mode & 0o1777, APP[1])

    async def symlink(self, name: bytes, target: bytes, caller: Caller) -> Node:
        return await self._make(p9.TSYMLINK, name, target, APP[1])

    async def mknod(self, name: bytes, mode: int, device: int, caller: Caller) -> Node:
        if stat.S_IFMT(mode) not in (stat.S_IFREG, 0, *_SPECIAL):
            raise refusal(errno.EPERM, name)
        return await self._make(p9.TMKNOD, name, stat.S_IFMT(mode) | mode & 0o1777, 0, 0, APP[1])

    async def _make(self, kind: int, name: bytes, *fields: object) -> Node:
        self.require_writable(name)
        await self.ask(kind, name, *fields)
        return await self.walk(name)

    async def link(self, name: bytes, node: Node) -> None:
        self.require_writable(name)
        client = await self.live()
        if not isinstance(node, Remote) or await node.live() is not client:
            raise refusal(errno.EXDEV, name)
        await client.ask(p9.TLINK, self.fid, node.fid, name)

    async def remove(self, name: bytes, *, directory: bool) -> None:
        self.require_writable(name)
        await self.ask(p9.TUNLINKAT, name, p9.REMOVE_DIRECTORY if directory else 0)

    async def rename(self, name: bytes, parent: Directory, new_name: bytes, flags: int) -> None:
        self.require_writable(name)
        client = await self.live()
        if not isinstance(parent, RemoteDirectory) or await parent.live() is not client:
            raise refusal(errno.EXDEV, name)
        if flags & ~RENAME_NOREPLACE:
            raise refusal(errno.EINVAL, name)  # the protocol cannot say it
        if flags and await _is_there(parent, new_name):
            raise refusal(errno.EEXIST, new_name)
        await client.ask(p9.TRENAMEAT, self.fid, name, parent.fid, new_name)

    async def fsync(self, *, data_only: bool) -> None:
        if self.tree.writable:
            await self.ask(p9.TFSYNC, int(data_only))


class RemoteFile(Remote, File):
    """A regular file of the server's."""

    async def open(self, flags: int, caller: Caller) -> Handle:
        if flags & (os.O_ACCMODE | os.O_TRUNC):
            self.require_writable()
        handle = await opened(await self.live(), self.fid, flags)
        if flags & os.O_ACCMODE == os.O_RDONLY and self.size == 0:
            # As in proc(5), content that nobody knows the size of: the kernel must ask for it nonetheless.
            handle.direct = (await self.stat()).size == 0
        return handle


class RemoteLink(Remote, Symlink):
    """A symbolic link of the server's."""

    async def readlink(self) -> bytes:
        (target,) = await self.ask(p9.TREADLINK)
        if not 0 < len(target) <= TARGET_MAX:
            raise ReportedError(errno.EIO, "9P: a link without a target")
        return bytes(target)


class RemoteSpecial(Remote):
    """A FIFO or a socket: its name is the server's, what opens it is the kernel's own."""

    def __init__(self, tree: Tree, fid: int, kind: int) -> None:
        super().__init__(tree, fid)
        self.kind = kind


async def attached(
    stream: trio.abc.Stream, *, writable: bool = False, deadline: float = DEADLINE
) -> RemoteDirectory:
    """The root of what the server at the other end serves, for as long as that connection lives. The stream
    stays the caller's. EIO where it is no such server; `deadline` is for how long it may be silent, in
    seconds."""
    client = Client(stream, deadline=deadline)
    fid, _ = await client.attach()
    return RemoteDirectory(Tree(client, writable=writable), fid)


async def _is_there(parent: RemoteDirectory, name: bytes) -> bool:
    try:
        await parent.walk(name)
    except FileNotFoundError:
        return False
    return True
