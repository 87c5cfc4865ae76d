"""The only importer of pyfuse3: its forms of attributes and open files, and the one session of this process.

Rules:
- pyfuse3 has one session a process, held in its module; `Session` says so instead of leaving a mount hanging.
- Nothing but FUSEError may leave a request handler, or pyfuse3 ends the mount for everybody:
  `Boundary.answer`.
- `flush` is not served (ENOSYS): close(2) then needs no request, and no node has anything that waits for it.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from functools import partial
from typing import Any

import pyfuse3

from libos.errors import SupervisorError
from libos.fs import directory_flags, kept_listing, listing
from libos.fs.checks import DOTS, checked_handle, checked_names
from libos.fs.describing import Describing
from libos.fs.dispatch import AnyInode, caller_of, directory_of, handle_of, on_inode, on_open, owner_at
from libos.fs.eager import eager_trio, readable
from libos.fs.inodes import ROOT
from libos.fs.kept_listing import PLACES
from libos.fs.naming import Naming
from libos.fs.node import APP, NAME_MAX, Attributes, Caller, Directory, File, Handle, Node, refusal
from libos.fs.recording import CREATE, LIST, opened_for
from libos.fs.worlds import Open

# Waiting requests at once; the kernel queues what is beyond, and then no world is served. So it is more than
# some worlds can have under way, each by the limit of its own (requests.MOST_OF_A_WORLD).
MAX_REQUESTS = 1_000_000
# Bytes of a block as statfs(2) tells it, and how many there seem to be: nothing here has a size of its own.
BLOCK = 4096
BLOCKS = 1 << 28


class Operations(Naming, Describing, pyfuse3.Operations):
    """All requests of FUSE that are served; here those whose form is pyfuse3's own."""

    supports_dot_lookup = False
    refuse = pyfuse3.FUSEError

    def init(self) -> None:
        self.ready.set()

    def entry(self, inode: AnyInode, attributes: Attributes | None) -> pyfuse3.EntryAttributes:
        node = inode.node
        cache = node.cache
        told = inode.told
        if told is not None and told[0] is attributes and told[1] is cache:
            ready: pyfuse3.EntryAttributes = told[2]
            return ready
        entry = pyfuse3.EntryAttributes()
        entry.st_ino = inode.number
        if attributes is None:
            entry.attr_timeout = 0
            entry.st_mode = node.kind
            # An owner outside the world's numbering would be EACCES before the kernel asks: inode_permission.
            entry.st_uid, entry.st_gid = owner_at(inode)
            return entry
        if stat.S_IFMT(attributes.mode) != node.kind or not 0 <= attributes.size < 1 << 63:
            shown = f"mode {attributes.mode:#o} and size {attributes.size}"
            raise ValueError(f"{shown} for a node of kind {node.kind:#o}")
        entry.attr_timeout = cache.attributes
        entry.st_mode = attributes.mode
        entry.st_nlink = attributes.links
        uid, gid = owner_at(inode)
        entry.st_uid = uid if attributes.uid == APP[0] else attributes.uid
        entry.st_gid = gid if attributes.gid == APP[1] else attributes.gid
        entry.st_rdev = attributes.device
        entry.st_size = attributes.size
        entry.st_blocks = attributes.blocks
        entry.st_blksize = BLOCK
        entry.st_atime_ns = attributes.atime
        entry.st_mtime_ns = attributes.mtime
        entry.st_ctime_ns = attributes.ctime
        if cache.attributes:
            inode.told = attributes, cache, entry
        return entry

    def nothing(self, seconds: float) -> pyfuse3.EntryAttributes:
        entry = pyfuse3.EntryAttributes()
        entry.st_ino = 0  # fuse_lowlevel.h, struct fuse_entry_param
        entry.attr_timeout = 0
        entry.entry_timeout = seconds
        return entry

    # --- open files

    @on_inode
    async def open(self, inode: AnyInode, flags: int, ctx: Any) -> pyfuse3.FileInfo:
        handle = checked_handle(await _file(inode.node).open(flags, caller_of(ctx, inode)))
        if flags & os.O_TRUNC:
            self.tell_others(inode)
        for operation in opened_for(flags):
            self.used(inode, operation)
        return self._opened(inode, handle, ctx)

    @on_inode
    async def create(self, parent: AnyInode, name: bytes, mode: int, flags: int, ctx: Any) -> Any:
        node, handle = await self._make_or_open(
            directory_of(parent, name), name, mode, flags, caller_of(ctx, parent)
        )
        checked = checked_handle(handle)
        entry = self.enter(parent, name, node)
        self.tell_others(parent, name)
        made = self.other(entry.st_ino)
        for operation in (CREATE, *opened_for(flags)):
            self.used(made, operation)
        return self._opened(made, checked, ctx), entry

    async def _make_or_open(
        self, directory: Directory, name: bytes, mode: int, flags: int, caller: Caller
    ) -> tuple[Node, Handle]:
        """open(2) with O_CREAT: opens what another world or the host made after the kernel had looked."""
        try:
            return await directory.create(name, stat.S_IMODE(mode), flags, caller)
        except FileExistsError:
            if flags & os.O_EXCL:
                raise
            node = await directory.walk(name)
            return node, await _file(node).open(flags, caller)

    def _opened(self, inode: AnyInode, handle: Handle, ctx: Any) -> pyfuse3.FileInfo:
        cache = inode.node.cache
        number = self.opens.add(Open(inode, handle, ctx.pid))
        direct = cache.direct or handle.direct
        return pyfuse3.FileInfo(
            fh=number, direct_io=direct, keep_cache=cache.content, nonseekable=not handle.seekable
        )

    async def poll(self, inode: int, fh: int, poll_handle: Any, ctx: Any) -> int:
        """Never ENOSYS: the kernel would ask for no file of the mount again."""
        opened = self.opens.get(fh)
        if opened is None:
            raise self.refuse(errno.ESTALE)
        return await self.boundary.answer("poll", opened.inode, ctx.pid, True, _poll, opened, poll_handle)

    @on_open
    async def read(self, opened: Open, offset: int, size: int) -> bytes:
        data = await handle_of(opened).read(offset, size)
        if not isinstance(data, bytes | bytearray | memoryview) or len(data) > size:
            raise TypeError(f"a read of {size} bytes returned {type(data).__name__}, or too much")
        return data

    @on_open
    async def write(self, opened: Open, offset: int, data: bytes) -> int:
        count = await handle_of(opened).write(offset, data)
        if not isinstance(count, int) or not 0 <= count <= len(data):
            raise TypeError(f"a write of {len(data)} bytes returned {count!r}")
        self.tell_others(opened.inode)
        return count

    @on_open
    async def fsync(self, opened: Open, datasync: bool) -> None:
        await handle_of(opened).fsync(data_only=datasync)

    async def release(self, fh: int) -> None:
        opened = self.opens.take(fh)
        if opened is not None and opened.handle is not None:
            await self.boundary.answer("release", opened.inode, opened.thread, True, opened.handle.close)

    # --- open directories

    def opendir(self, number: int, ctx: Any) -> Any:
        return self._opendir(number, directory_flags.taken(), ctx)  # taken before anything waits

    @on_inode
    async def _opendir(self, inode: AnyInode, request: directory_flags.Request | None, ctx: Any) -> int:
        if not isinstance(inode.node, Directory):
            raise refusal(errno.ENOTDIR)
        opened = Open(inode, None, ctx.pid)
        if request is not None:
            request.set(kept_listing.opens(opened), inode.number)
        return self.opens.add(opened)

    @on_open
    async def readdir(self, opened: Open, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        directory = directory_of(opened.inode)
        if start_id == 0:
            self.used(opened.inode, LIST)
        if start_id == 0 or not kept_listing.goes_on(opened, start_id):
            opened.names = checked_names(await directory.readdir())
            listing.begins(opened)
            kept_listing.begins(opened)
        start = start_id % PLACES
        if start >= len(opened.names):
            kept_listing.ends(opened)
        start = self._tell_again(opened, start, token)
        at_hand = directory.at_hand()
        for index in range(start, len(opened.names)):
            name = opened.names[index]
            try:
                known = at_hand(name)
                node = known or await directory.walk(name)
            except OSError:
                kept_listing.lacks(opened)
                continue  # it went away, or cannot be looked at: not part of this listing
            entry = self.enter(opened.inode, name, node)
            if not self.looked_at(opened.inode.names[name]):
                entry.entry_timeout = 0  # the first look is asked for
            if not pyfuse3.readdir_reply(token, name, entry, opened.first_place + index + 1):
                opened.next = node
                self.inodes.forget(entry.st_ino, 1, told=False)
                return
            if known is not None and len(opened.told) == index - len(DOTS):
                opened.told.append((name, opened.inode.names[name], entry))
        listing.ends(opened)

    def _tell_again(self, opened: Open, start: int, token: pyfuse3.ReaddirToken) -> int:
        """Adds the dots, and what was told before and is so still; the index of the first name that was not
        added, or one beyond all when there is no more room."""
        index, place = start, opened.first_place + 1
        for name in DOTS[index:]:
            dot = self.entry(_dots(opened.inode, name), None)
            if not pyfuse3.readdir_reply(token, name, dot, place + index):
                return len(opened.names) + 1
            index += 1
        for name, inode, entry in listing.rows(opened)[index - len(DOTS) :]:
            if inode.lookups <= 0:
                return index
            if not pyfuse3.readdir_reply(token, name, entry, place + index):
                return len(opened.names) + 1
            inode.lookups += 1
            index += 1
        return index

    @on_open
    async def fsyncdir(self, opened: Open, datasync: bool) -> None:
        await directory_of(opened.inode).fsync(data_only=datasync)

    async def releasedir(self, fh: int) -> None:
        opened = self.opens.take(fh)
        if opened is not None:
            kept_listing.ends(opened)

    async def statfs(self, ctx: Any) -> pyfuse3.StatvfsData:
        await self.boundary.requests.turns.take(None)  # the request does not say of which world
        data = pyfuse3.StatvfsData()
        data.f_bsize = data.f_frsize = BLOCK
        data.f_blocks = data.f_bfree = data.f_bavail = BLOCKS
        data.f_files = data.f_ffree = data.f_favail = BLOCKS
        data.f_namemax = NAME_MAX
        return data


def _file(node: Node) -> File:
    """What can be opened."""
    if not isinstance(node, File):
        raise refusal(errno.EACCES)
    return node


async def _poll(opened: Open, poll_handle: Any) -> int:
    """What poll(2) gives now, and who is to be woken later."""
    session = Session._current
    events = handle_of(opened).poll(partial(_wake, session, poll_handle) if poll_handle else None)
    if not isinstance(events, int) or not 0 <= events <= 0xFFFF:
        raise TypeError(f"poll returned {events!r}")
    return events


def _wake(session: Session | None, poll_handle: Any) -> None:
    """Makes who polls ask again. The handle leads into its session's memory: not after that is closed."""
    if session is not None and Session._current is session:
        with suppress(OSError):  # nobody has the file open any more
            poll_handle.notify()


def _dots(inode: AnyInode, name: bytes) -> AnyInode:
    """What "." and ".." stand for; a world's root is its own parent."""
    if name == b"." or inode.parent is None or inode.parent.number == ROOT:
        return inode
    return inode.parent


class Session:
    """The one FUSE session of this process, from a mounted descriptor, which it owns."""

    _current: Session | None = None

    def __init__(self, fuse_fd: int, operations: Operations) -> None:
        if Session._current is not None:
            raise SupervisorError(
                "another Supervisor is serving in this process: pyfuse3 has one session a process"
            )
        # The mount is made already: no option of ours would reach it.
        pyfuse3.init(operations, f"/dev/fd/{fuse_fd}", set())
        pyfuse3.trio = eager_trio(fuse_fd)  # type: ignore[attr-defined]
        operations.boundary.requests.turns.more = readable(fuse_fd)
        directory_flags.stand_before(pyfuse3)
        Session._current = self

    async def run(self) -> None:
        """Answers requests until the mount is gone."""
        await pyfuse3.main(max_tasks=MAX_REQUESTS)

    def notify_entry(self, parent: int, name: bytes) -> None:
        """Makes the kernel forget where a name leads. Waits for the directory's lock: not on the trio
        thread."""
        pyfuse3.invalidate_entry(parent, name)

    def notify_inode(self, number: int) -> None:
        """Makes the kernel forget attributes and content. Waits for pages: not on the trio thread."""
        pyfuse3.invalidate_inode(number)

    def close(self) -> None:
        """Closes the descriptor: the kernel answers all that still waits with ECONNABORTED, later
        ENOTCONN."""
        pyfuse3.close(unmount=False)
        Session._current = None
