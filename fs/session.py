"""FUSE's requests in, calls of nodes out: the only importer of pyfuse3.

Rules:
- pyfuse3 has one session a process, held in its module; `Session` says so instead of leaving a mount hanging.
- Nothing but FUSEError may leave a request handler, or pyfuse3 ends the mount for everybody: every call of
  a node and every check of its result runs inside the boundary.
- A reply that carries an entry counts as one lookup; a reply that could not be built is taken back.
- `flush` is not served (ENOSYS): close(2) then needs no request, and no node has anything that waits for it.
- read, write, fsync and readdir come without a caller: whoever opened stands for them.
"""

from __future__ import annotations

import errno
import functools
import stat
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pyfuse3
import trio

from libos.errors import SupervisorError
from libos.fs.boundary import Boundary
from libos.fs.eager import eager_trio
from libos.fs.inodes import ROOT, Inode, Inodes
from libos.fs.node import (
    APP,
    NAME_MAX,
    TARGET_MAX,
    Attributes,
    Caller,
    Change,
    Directory,
    File,
    Handle,
    Node,
    Symlink,
    refusal,
)
from libos.fs.worlds import Attachment, MountRoot, OnFault, Open, Opens

# Waiting requests at once; the kernel queues what is beyond. pyfuse3's own 99 would let one world wedge all.
MAX_REQUESTS = 10_000
# Bytes of a block as statfs(2) tells it, and how many there seem to be: nothing here has a size of its own.
BLOCK = 4096
BLOCKS = 1 << 28

AnyInode = Inode[Attachment | None]
Method = Callable[..., Awaitable[Any]]


def _on_inode(method: Method) -> Any:
    """A request about an inode: its number first, the caller's context last."""
    operation = method.__name__

    @functools.wraps(method)
    async def run(self: Operations, number: int, *rest: Any) -> Any:
        inode = self.inodes.get(number)
        if inode is None:
            raise pyfuse3.FUSEError(errno.ESTALE)
        work = functools.partial(method, self, inode, *rest)
        return await self.guarded(operation, inode, rest[-1].pid, work)

    return run


def _on_open(method: Method) -> Any:
    """A request about something open: its number first."""
    operation = method.__name__

    @functools.wraps(method)
    async def run(self: Operations, number: int, *rest: Any) -> Any:
        opened = self.opens.get(number)
        if opened is None:
            raise pyfuse3.FUSEError(errno.ESTALE)
        work = functools.partial(method, self, opened, *rest)
        return await self.guarded(operation, opened.inode, opened.thread, work)

    return run


class Operations(pyfuse3.Operations):
    """FUSE's requests, each three to ten lines: find the node, call it, note what the kernel now holds."""

    supports_dot_lookup = False

    def __init__(self, on_fault: OnFault) -> None:
        super().__init__()
        self.root = MountRoot()
        self.inodes: Inodes[Attachment | None] = Inodes(self.root, None)
        self.opens = Opens()
        self.boundary = Boundary(on_fault)
        self.ready = trio.Event()

    def init(self) -> None:
        self.ready.set()

    async def guarded(
        self, operation: str, inode: AnyInode, thread: int, work: Callable[[], Awaitable[Any]]
    ) -> Any:
        """What `work` gives, or FUSEError."""
        try:
            return await self.boundary.answer(operation, inode, thread, work)
        except OSError as error:
            raise pyfuse3.FUSEError(error.errno or errno.EIO) from None

    # --- entries

    def entry(self, inode: AnyInode, attributes: Attributes | None) -> pyfuse3.EntryAttributes:
        """pyfuse3's form of attributes; None for those that are not known yet."""
        entry = pyfuse3.EntryAttributes()
        node = inode.node
        entry.st_ino = inode.number
        if attributes is None:
            entry.attr_timeout = 0
            entry.st_mode = node.kind
            # An owner outside the world's numbering would be EACCES before the kernel asks: inode_permission.
            entry.st_uid, entry.st_gid = APP
            return entry
        if stat.S_IFMT(attributes.mode) != node.kind or not 0 <= attributes.size < 1 << 63:
            raise ValueError(
                f"mode {attributes.mode:#o} and size {attributes.size} for a node of kind {node.kind:#o}"
            )
        entry.attr_timeout = node.cache.attributes
        entry.st_mode = attributes.mode
        entry.st_nlink = attributes.links
        entry.st_uid = attributes.uid
        entry.st_gid = attributes.gid
        entry.st_rdev = attributes.device
        entry.st_size = attributes.size
        entry.st_blocks = attributes.blocks
        entry.st_blksize = BLOCK
        entry.st_atime_ns = attributes.atime
        entry.st_mtime_ns = attributes.mtime
        entry.st_ctime_ns = attributes.ctime
        return entry

    def enter(self, parent: AnyInode, name: bytes, node: object) -> pyfuse3.EntryAttributes:
        """The entry for a node found or made at a name; the kernel holds it once more."""
        if not isinstance(node, Node):
            raise TypeError(f"not a node at {name!r}: {type(node).__name__}")
        world = parent.world if parent.number != ROOT else self.root.attachments[name]
        inode = self.inodes.enter(parent, name, node, world)
        try:
            entry = self.entry(inode, node.known())
            entry.entry_timeout = parent.node.cache.entry
        except BaseException:
            self.inodes.forget(inode.number, 1)
            raise
        return entry

    @_on_inode
    async def lookup(self, parent: AnyInode, name: bytes, ctx: pyfuse3.RequestContext) -> Any:
        return self.enter(parent, name, await _directory(parent, name).walk(name))

    async def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        for number, count in inode_list:
            self.inodes.forget(number, count)

    # --- attributes

    @_on_inode
    async def getattr(self, inode: AnyInode, ctx: pyfuse3.RequestContext) -> Any:
        return self.entry(inode, _checked_attributes(await inode.node.stat()))

    @_on_inode
    async def setattr(self, inode: AnyInode, attr: Any, fields: Any, fh: Any, ctx: Any) -> Any:
        change = Change(
            stat.S_IMODE(attr.st_mode) if fields.update_mode else None,
            attr.st_uid if fields.update_uid else None,
            attr.st_gid if fields.update_gid else None,
            attr.st_size if fields.update_size else None,
            attr.st_atime_ns if fields.update_atime else None,
            attr.st_mtime_ns if fields.update_mtime else None,
        )
        return self.entry(inode, _checked_attributes(await inode.node.setattr(change)))

    @_on_inode
    async def readlink(self, inode: AnyInode, ctx: Any) -> bytes:
        if not isinstance(inode.node, Symlink):
            raise refusal(errno.EINVAL)
        return _checked_target(await inode.node.readlink())

    # --- names

    @_on_inode
    async def mknod(self, parent: AnyInode, name: bytes, mode: int, rdev: int, ctx: Any) -> Any:
        return self.enter(parent, name, await _directory(parent, name).mknod(name, mode, rdev, _caller(ctx)))

    @_on_inode
    async def mkdir(self, parent: AnyInode, name: bytes, mode: int, ctx: Any) -> Any:
        mode = stat.S_IMODE(mode)
        return self.enter(parent, name, await _directory(parent, name).mkdir(name, mode, _caller(ctx)))

    @_on_inode
    async def symlink(self, parent: AnyInode, name: bytes, target: bytes, ctx: Any) -> Any:
        return self.enter(parent, name, await _directory(parent, name).symlink(name, target, _caller(ctx)))

    @_on_inode
    async def link(self, inode: AnyInode, new_parent: int, new_name: bytes, ctx: Any) -> Any:
        parent = self._other(new_parent)
        await _directory(parent, new_name).link(new_name, inode.node)
        return self.enter(parent, new_name, inode.node)

    @_on_inode
    async def unlink(self, parent: AnyInode, name: bytes, ctx: Any) -> None:
        await _directory(parent, name).remove(name, directory=False)
        self.inodes.displace(parent, name)

    @_on_inode
    async def rmdir(self, parent: AnyInode, name: bytes, ctx: Any) -> None:
        await _directory(parent, name).remove(name, directory=True)
        self.inodes.displace(parent, name)

    @_on_inode
    async def rename(
        self, parent: AnyInode, name: bytes, new_parent: int, new_name: bytes, flags: int, ctx: Any
    ) -> None:
        target = self._other(new_parent)
        await _directory(parent, name).rename(name, _directory(target, new_name), new_name, flags)
        moved, replaced = parent.names.get(name), target.names.get(new_name)
        if moved is not None:
            self.inodes.place(moved, target, new_name)
        if replaced is not None and flags & pyfuse3.RENAME_EXCHANGE:
            self.inodes.place(replaced, parent, name)

    def _other(self, number: int) -> AnyInode:
        """The second inode of a request."""
        inode = self.inodes.get(number)
        if inode is None:
            raise refusal(errno.ESTALE)
        return inode

    # --- open files

    @_on_inode
    async def open(self, inode: AnyInode, flags: int, ctx: Any) -> pyfuse3.FileInfo:
        if not isinstance(inode.node, File):
            raise refusal(errno.EACCES)
        return self._opened(inode, await inode.node.open(flags, _caller(ctx)), ctx)

    @_on_inode
    async def create(self, parent: AnyInode, name: bytes, mode: int, flags: int, ctx: Any) -> Any:
        directory = _directory(parent, name)
        node, handle = await directory.create(name, stat.S_IMODE(mode), flags, _caller(ctx))
        entry = self.enter(parent, name, node)
        return self._opened(self._other(entry.st_ino), handle, ctx), entry

    def _opened(self, inode: AnyInode, handle: object, ctx: Any) -> pyfuse3.FileInfo:
        if not isinstance(handle, Handle):
            raise TypeError(f"not a handle: {type(handle).__name__}")
        cache = inode.node.cache
        number = self.opens.add(Open(inode, handle, ctx.pid))
        return pyfuse3.FileInfo(fh=number, direct_io=cache.direct or handle.direct, keep_cache=cache.content)

    @_on_open
    async def read(self, opened: Open, offset: int, size: int) -> bytes:
        data = await _handle(opened).read(offset, size)
        if not isinstance(data, bytes | bytearray | memoryview) or len(data) > size:
            raise TypeError(f"a read of {size} bytes returned {type(data).__name__}, or too much")
        return data

    @_on_open
    async def write(self, opened: Open, offset: int, data: bytes) -> int:
        count = await _handle(opened).write(offset, data)
        if not isinstance(count, int) or not 0 <= count <= len(data):
            raise TypeError(f"a write of {len(data)} bytes returned {count!r}")
        return count

    @_on_open
    async def fsync(self, opened: Open, datasync: bool) -> None:
        await _handle(opened).fsync(data_only=datasync)

    async def release(self, fh: int) -> None:
        opened = self.opens.take(fh)
        if opened is not None and opened.handle is not None:
            await self.guarded("release", opened.inode, opened.thread, opened.handle.close)

    # --- open directories

    @_on_inode
    async def opendir(self, inode: AnyInode, ctx: pyfuse3.RequestContext) -> int:
        if not isinstance(inode.node, Directory):
            raise refusal(errno.ENOTDIR)
        return self.opens.add(Open(inode, None, ctx.pid))

    @_on_open
    async def readdir(self, opened: Open, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        if start_id == 0:
            opened.names = _checked_names(await _directory(opened.inode).readdir())
        for index, name in enumerate(opened.names[start_id:], start_id):
            if not await self._emit(opened.inode, name, token, index + 1):
                return

    async def _emit(self, inode: AnyInode, name: bytes, token: pyfuse3.ReaddirToken, next_id: int) -> bool:
        """Adds one name to a listing; False when it is full."""
        if name in (b".", b".."):
            dots = self.entry(_dots(inode, name), None)
            return pyfuse3.readdir_reply(token, name, dots, next_id)
        try:
            node = await _directory(inode).walk(name)
        except OSError:
            return True  # it went away, or cannot be looked at: not part of this listing
        entry = self.enter(inode, name, node)
        taken = pyfuse3.readdir_reply(token, name, entry, next_id)
        if not taken:
            self.inodes.forget(entry.st_ino, 1)
        return taken

    @_on_open
    async def fsyncdir(self, opened: Open, datasync: bool) -> None:
        await _directory(opened.inode).fsync(data_only=datasync)

    async def releasedir(self, fh: int) -> None:
        self.opens.take(fh)

    # --- extended attributes, file system

    @_on_inode
    async def getxattr(self, inode: AnyInode, name: bytes, ctx: pyfuse3.RequestContext) -> bytes:
        return _checked_bytes(await inode.node.getxattr(name))

    @_on_inode
    async def listxattr(self, inode: AnyInode, ctx: pyfuse3.RequestContext) -> list[bytes]:
        return [_checked_bytes(name) for name in await inode.node.listxattr()]

    @_on_inode
    async def setxattr(self, inode: AnyInode, name: bytes, value: bytes, ctx: pyfuse3.RequestContext) -> None:
        await inode.node.setxattr(name, value)

    @_on_inode
    async def removexattr(self, inode: AnyInode, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        await inode.node.removexattr(name)

    async def statfs(self, ctx: pyfuse3.RequestContext) -> pyfuse3.StatvfsData:
        data = pyfuse3.StatvfsData()
        data.f_bsize = data.f_frsize = BLOCK
        data.f_blocks = data.f_bfree = data.f_bavail = BLOCKS
        data.f_files = data.f_ffree = data.f_favail = BLOCKS
        data.f_namemax = NAME_MAX
        return data


def _directory(inode: AnyInode, name: bytes = b"") -> Directory:
    """The directory of an inode, for a name that may stand in one."""
    if not isinstance(inode.node, Directory):
        raise refusal(errno.ENOTDIR)
    if len(name) > NAME_MAX:
        raise refusal(errno.ENAMETOOLONG, name)
    return inode.node


def _handle(opened: Open) -> Handle:
    if opened.handle is None:
        raise refusal(errno.EISDIR)
    return opened.handle


def _caller(ctx: pyfuse3.RequestContext) -> Caller:
    return Caller(ctx.pid, ctx.uid, ctx.gid)


def _dots(inode: AnyInode, name: bytes) -> AnyInode:
    """What "." and ".." stand for; a world's root is its own parent."""
    if name == b"." or inode.parent is None or inode.parent.number == ROOT:
        return inode
    return inode.parent


def _checked_names(names: object) -> list[bytes]:
    """A whole listing, with "." and ".."; TypeError or ValueError for what cannot be a name."""
    if not isinstance(names, list):
        raise TypeError(f"a listing is a list of bytes, not {type(names).__name__}")
    for name in names:
        if not isinstance(name, bytes) or not 0 < len(name) <= NAME_MAX or b"/" in name or b"\0" in name:
            raise ValueError(f"not a name: {name!r}")
    return [b".", b"..", *names]


def _checked_attributes(attributes: object) -> Attributes:
    if not isinstance(attributes, Attributes):
        raise TypeError(f"attributes expected, not {type(attributes).__name__}")
    return attributes


def _checked_target(target: object) -> bytes:
    """What a link may hold; the kernel refuses a longer reply, and the request would hang."""
    raw = _checked_bytes(target)
    if not 0 < len(raw) <= TARGET_MAX or b"\0" in raw:
        raise ValueError(f"not a link's target: {raw!r}")
    return raw


def _checked_bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"bytes expected, not {type(value).__name__}")
    return value


class Session:
    """The one FUSE session of this process, from a mounted descriptor, which it owns."""

    _current: Session | None = None

    def __init__(self, fuse_fd: int, operations: Operations) -> None:
        if Session._current is not None:
            raise SupervisorError(
                "another Supervisor is serving in this process: pyfuse3 has one session a process"
            )
        Session._current = self
        # The mount is made already: of the options only what libfuse itself needs counts here.
        pyfuse3.init(operations, f"/dev/fd/{fuse_fd}", set())
        pyfuse3.trio = eager_trio(fuse_fd)  # type: ignore[attr-defined]

    async def run(self) -> None:
        """Answers requests until the mount is gone."""
        await pyfuse3.main(max_tasks=MAX_REQUESTS)

    def notify_entry(self, parent: int, name: bytes) -> None:
        """Makes the kernel forget where a name leads. Waits for the directory's lock: never on the trio
        thread."""
        pyfuse3.invalidate_entry(parent, name)

    def notify_inode(self, number: int) -> None:
        """Makes the kernel forget attributes and content. Waits for pages being read: never on the trio
        thread."""
        pyfuse3.invalidate_inode(number)

    def close(self) -> None:
        """Closes the descriptor: the kernel answers all that still waits with ECONNABORTED, and later
        ENOTCONN."""
        pyfuse3.close(unmount=False)
        Session._current = None
