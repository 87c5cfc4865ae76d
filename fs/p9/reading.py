"""One client's fids, and the requests of 9P2000.L that look at a tree."""

from __future__ import annotations

import errno
import itertools
import os
import stat
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from libos.fs.checks import checked_attributes, checked_bytes, checked_handle, checked_names, checked_target
from libos.fs.node import Attributes, Caller, Directory, File, Handle, Node, Symlink, refusal
from libos.fs.p9 import codec
from libos.fs.p9 import messages as p9
from libos.fs.p9.codec import MalformedError
from libos.fs.p9.frames import FRAME_MAX, FRAME_MIN
from libos.fs.p9.messages import Message, Qid

# Fids of one connection at most: a client of libos holds one for each file that its kernel knows.
FIDS = 1 << 17
# Bytes of a reply that are not data: the header and the count.
_AROUND = codec.HEADER + 4
# Entries that are looked at for one reply to Treaddir: more than fit.
_ENTRIES = 4096
_KINDS = {stat.S_IFDIR: 0x80, stat.S_IFLNK: 0x02}


@dataclass(slots=True)
class Fid:
    """What a client's number stands for: a node, and once opened a handle or a listing."""

    node: Node
    handle: Handle | None = None
    names: list[bytes] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it was opened."""
        return self.handle is not None or self.names is not None

    def directory(self) -> Directory:
        """ENOTDIR where it is none."""
        if not isinstance(self.node, Directory):
            raise refusal(errno.ENOTDIR)
        return self.node


class Reading:
    """The requests of one client, by their fields: each gives its reply or raises OSError."""

    def __init__(self, root: Directory, *, writable: bool) -> None:
        self.writable = writable
        self._root = root
        self._fids: dict[int, Fid] = {}
        self._frame_max = FRAME_MIN
        self._numbers = itertools.count(1)
        self._paths: WeakKeyDictionary[Node, int] = WeakKeyDictionary()

    async def close(self) -> None:
        """Closes all handles."""
        for number in list(self._fids):
            await self.clunk(number)

    # --- the requests, in the order of intro(5)

    async def version(self, size: int, version: bytes) -> Message:
        """Begins anew, with frames of at most `size` bytes."""
        if size < FRAME_MIN:
            raise MalformedError(f"frames of {size} bytes: at least {FRAME_MIN} are needed")
        await self.close()
        self._frame_max = min(size, FRAME_MAX)
        said = p9.VERSION if version == p9.VERSION else b"unknown"
        return Message(p9.RVERSION, (self._frame_max, said))

    async def attach(self, fid: int, _auth: int, _user: bytes, _tree: bytes, _uid: int) -> Message:
        """The root."""
        self._take(fid, self._root)
        return Message(p9.RATTACH, (self.qid(self._root),))

    async def flush(self, _tag: int) -> Message:
        """What it is about was answered before."""
        return Message(p9.RFLUSH, ())

    async def walk(self, fid: int, new: int, names: tuple[bytes, ...]) -> Message:
        """As far as names lead; `new` is made where all do."""
        node, qids = self.fid(fid).node, []
        try:
            for name in names:
                if not isinstance(node, Directory):
                    raise refusal(errno.ENOTDIR, name)
                node = await node.walk(name)
                qids.append(self.qid(node))
        except OSError:
            if not qids:
                raise
            return Message(p9.RWALK, (tuple(qids),))
        self._take(new, node)
        return Message(p9.RWALK, (tuple(qids),))

    async def open(self, number: int, flags: int) -> Message:
        """A file by open(2)'s flags, or a directory to be listed."""
        fid = self.fid(number)
        wanted = opening(flags)
        if wanted & ~os.O_APPEND:
            self.require_writable()
        if fid.is_open:
            raise refusal(errno.EBUSY)
        if isinstance(fid.node, Directory):
            if wanted:
                raise refusal(errno.EISDIR)
            fid.names = checked_names(await fid.node.readdir())[2:]
        elif isinstance(fid.node, File):
            fid.handle = checked_handle(await fid.node.open(wanted, Caller()))
        else:
            raise refusal(errno.ELOOP if isinstance(fid.node, Symlink) else errno.ENXIO)
        return Message(p9.RLOPEN, (self.qid(fid.node), 0))

    async def read(self, number: int, offset: int, count: int) -> Message:
        """Bytes of an open file."""
        size = min(count, self._frame_max - _AROUND)
        data = await self.handle(number, offset).read(offset, size)
        return Message(p9.RREAD, (checked_bytes(data)[:size],))

    async def readdir(self, number: int, offset: int, count: int) -> Message:
        """Entries of an open directory, from the one with this number on."""
        fid = self.fid(number)
        if fid.names is None:
            raise refusal(errno.EBADF)
        room, found = min(count, self._frame_max - _AROUND), bytearray()
        for at, name in enumerate(fid.names[offset : offset + _ENTRIES], offset + 1):
            # What a name leads to is found by walking: here the type is not known, as readdir(3) allows.
            more = codec.entry(Qid(0, 0, 0), at, 0, name)
            if len(found) + len(more) > room:
                break
            found += more
        if not found and offset < len(fid.names):
            raise refusal(errno.EINVAL)
        return Message(p9.RREADDIR, (bytes(found),))

    async def readlink(self, number: int) -> Message:
        """A link's target."""
        node = self.fid(number).node
        if not isinstance(node, Symlink):
            raise refusal(errno.EINVAL)
        return Message(p9.RREADLINK, (checked_target(await node.readlink()),))

    async def getattr(self, number: int, _mask: int) -> Message:
        """All that stat(2) shows, whatever is asked for."""
        node = self.fid(number).node
        now: Attributes = checked_attributes(await node.stat())
        times = [part for time in (now.atime, now.mtime, now.ctime) for part in divmod(max(time, 0), 10**9)]
        fields = (
            p9.BASIC, self.qid(node), now.mode, now.uid, now.gid, now.links, now.device, now.size, 4096,
            now.blocks, *times, 0, 0, 0, 0,
        )  # fmt: skip
        return Message(p9.RGETATTR, fields)

    async def clunk(self, number: int) -> Message:
        """Lets go of a fid."""
        fid = self.fid(number)
        del self._fids[number]
        if fid.handle is not None:
            await fid.handle.close()
        return Message(p9.RCLUNK, ())

    # --- fids

    def require_writable(self) -> None:
        """EROFS where the tree is served read-only."""
        if not self.writable:
            raise refusal(errno.EROFS)

    def fid(self, number: int) -> Fid:
        """What a number stands for. EBADF."""
        if number not in self._fids:
            raise refusal(errno.EBADF)
        return self._fids[number]

    def handle(self, number: int, offset: int = 0) -> Handle:
        """The open file of a number, for a use at an offset. EBADF, EINVAL."""
        handle = self.fid(number).handle
        if handle is None:
            raise refusal(errno.EBADF)
        if offset >= 1 << 63:
            raise refusal(errno.EINVAL)
        return handle

    def qid(self, node: Node) -> Qid:
        """Which file it is, for as long as somebody holds it."""
        if node not in self._paths:
            self._paths[node] = next(self._numbers)
        return Qid(_KINDS.get(node.kind, 0), 0, self._paths[node])

    def _take(self, number: int, node: Node) -> None:
        if number in self._fids or number == p9.NO_FID:
            raise refusal(errno.EBADF)
        if len(self._fids) >= FIDS:
            raise refusal(errno.EMFILE)
        self._fids[number] = Fid(node)


def opening(flags: int) -> int:
    """The protocol's flags as open(2)'s here; what is not known is passed over."""
    wanted = (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR)[flags & p9.ACCESS]
    wanted |= os.O_TRUNC if flags & p9.TRUNCATE else 0
    return wanted | (os.O_APPEND if flags & p9.APPEND else 0)
