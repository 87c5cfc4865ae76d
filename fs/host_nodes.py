"""A file of a host tree, whatever its kind: its descriptor, attributes and extended attributes.

See libos.fs.host for the rules. Nothing here waits between getting a descriptor and using it: sync on
purpose.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterable
from dataclasses import replace

import trio

from libos.fs.descriptors import Key
from libos.fs.host_shared import PRIVILEGE, Tree
from libos.fs.host_watch import KEEP
from libos.fs.node import NO_CHANGE, Attributes, Cache, Change, Node, refusal

# Seconds between two tries to open a file on which somebody holds a lease; the kernel gives its holder
# /proc/sys/fs/lease-break-time, 45.
LEASE_TICK = 0.05
# What the kernel may believe of a file of the host: nothing, unless it is quiet (unchanged for QUIET_AGE);
# then, for a tenth of a second, the attributes. A program that reads on would otherwise ask for the size at
# each read(2).
LIVELY = Cache(content=True)
QUIET = Cache(attributes=0.1, content=True)
# The same of a file with several names on an overlay.
PARTING_LIVELY = replace(LIVELY, parting=True)
PARTING_QUIET = replace(QUIET, parting=True)
# What is watched: see libos.fs.host_watch.
KEPT = Cache(attributes=KEEP, content=True)
KEPT_NAMES = Cache(entry=KEEP, attributes=KEEP, content=True)
# Nanoseconds: what git calls racy is a second; file systems with coarse times have two (FAT).
QUIET_AGE = 2_000_000_000


class HostNode(Node):
    """A file of the host, held by an O_PATH descriptor that may be closed and opened again by parent and
    name."""

    # The host may change anything at any moment, so each use asks again; but content that did not change
    # stays.
    cache = Cache(content=True)
    # Of a directory: its watch; 0 where there is none. And that of what stands below it, where it is an
    # overlay's.
    watch_number = 0
    below_number = 0
    # And how often its names, or what was told of them, changed; and how often its names alone did.
    changes = 0
    moves = 0

    def __init__(self, tree: Tree, key: Key, parent: HostNode | None, name: bytes, kind: int) -> None:
        self.tree = tree
        self.key = key
        self.parent = parent
        self.name = name
        self.kind = kind
        self.found: os.stat_result | None = None
        self.turn = 0
        # The marks of what the kernel was told to keep, when that was seen (time.monotonic), what was told.
        self._kept: tuple[int, ...] | None = None
        self.kept_at = 0.0
        self.shown: Attributes | None = None

    @property
    def kept(self) -> tuple[int, ...] | None:
        """The marks of what the kernel keeps; whoever sets it changes what the directory's listing told, and
        without them nothing is known of the names of a directory."""
        return self._kept

    @kept.setter
    def kept(self, marks: tuple[int, ...] | None) -> None:
        self._kept = marks
        if marks is None:
            self.moves += 1
        if self.parent is not None:
            self.parent.changes += 1

    def __del__(self) -> None:
        if self.tree.let_go(self):
            self.tree.descriptors.drop(self.key)

    def fd(self) -> int:
        """Its O_PATH descriptor, good until the next operation. ESTALE when another file has taken its
        name."""
        fd = self.tree.descriptors.get(self.key)
        return self._reopen() if fd is None else fd

    def _reopen(self) -> int:
        """Walks down again from the nearest directory on the way that is open. A loop, since an app may make
        the way as long as it likes; one descriptor at a time for the same reason."""
        way: list[HostNode] = [self]
        while (above := way[-1].parent) is not None:
            fd = self.tree.descriptors.get(above.key)
            if fd is not None:
                break
            way.append(above)
        else:
            raise refusal(errno.ESTALE)
        fd = os.dup(fd)
        for node in reversed(way):
            parent_fd = fd
            try:
                fd = node.opened_in(parent_fd)
            finally:
                os.close(parent_fd)
        return self.tree.descriptors.put(self.key, fd)

    def opened_in(self, parent_fd: int) -> int:
        """A new descriptor, by its name in its directory. ESTALE when another file has taken the name."""
        fd = open_path(parent_fd, self.name)
        found = os.fstat(fd)
        if (found.st_dev, found.st_ino) != self.key or stat.S_IFMT(found.st_mode) != self.kind:
            os.close(fd)
            raise refusal(errno.ESTALE)
        return fd

    def unless_parted(self) -> HostNode | None:
        """Itself, or None when its file has another number now: an overlay parts a file from its other hard
        links when it is changed. Kernel: filesystems/overlayfs.rst."""
        found = os.fstat(self.fd())
        key = (found.st_dev, found.st_ino)
        if key == self.key:
            return self
        tree = self.tree
        if tree.let_go(self):
            tree.descriptors.move(self.key, key)
        self.key = key
        tree.hold(self)
        return None

    def proc_path(self) -> str:
        """A path to exactly this inode; proc_pid_fd(5)."""
        return f"/proc/self/fd/{self.fd()}"

    def known(self) -> Attributes:
        if self.is_fresh():
            assert self.shown is not None
            return self.shown
        found, self.found = self.found, None
        if found is not None and self.tree.turns == self.turn:
            return self.show(found)
        with self.tree:
            return self.show(os.fstat(self.fd()))

    def is_fresh(self) -> bool:
        """Whether what was last told is true after all events that were dealt with."""
        return self._kept is not None and time.monotonic() - self.kept_at < KEEP

    async def stat(self) -> Attributes:
        with self.tree:
            self.tree.watches.drain()
            if self.is_fresh() and self.shown is not None:
                return self.shown
            return self.show(os.fstat(self.fd()))

    def looked_at(self, found: os.stat_result) -> None:
        """Keeps what was seen of it just now for `known`, which the server asks before anything else."""
        self.found, self.turn = found, self.tree.turns

    def show(self, found: os.stat_result) -> Attributes:
        """Its attributes, and how long they may be believed."""
        self.shown = self.tree.attributes(found)
        quiet = time.time_ns() - self.changed_at(found) > QUIET_AGE
        if found.st_nlink > 1 and self.kind != stat.S_IFDIR and self.tree.parts(self.key):
            self.cache, self.kept = PARTING_QUIET if quiet else PARTING_LIVELY, None
        elif not quiet:
            self.cache, self.kept = LIVELY, None
        elif self.is_watched(found):
            self.cache, self.kept, self.kept_at = KEPT, _marks(found), time.monotonic()
        else:
            self.cache, self.kept = QUIET, None
        return self.shown

    def changed_at(self, found: os.stat_result) -> int:
        """When it was changed last; nanoseconds since 1970."""
        return max(found.st_mtime_ns, found.st_ctime_ns)

    def is_watched(self, found: os.stat_result) -> bool:
        """Whether every change of its attributes will be told."""
        parent = self.parent
        return found.st_nlink == 1 and parent is not None and parent.watch_number > 0

    def differs(self) -> bool:
        """Whether the kernel keeps what is not so any more; said once."""
        kept = self.kept
        if kept is None:
            return False
        try:
            now = os.fstat(self.fd())
        except OSError:
            now = None
        if now is not None and _marks(now) == kept:
            return False
        self.kept = None
        return True

    async def setattr(self, change: Change) -> Attributes:
        self.kept = None
        while True:
            try:
                return self._set(change)
            except BlockingIOError:
                await trio.sleep(LEASE_TICK)

    def _set(self, change: Change) -> Attributes:
        with self.tree as tree:
            tree.require_writable()
            found = os.fstat(self.fd())
            self._check_owner(change, found)
            if change.size is not None:
                self.truncate(change.size)
            if change.uid is not None or change.gid is not None or change == NO_CHANGE:
                self._chown(change, found)
            if change.mode is not None:
                self._chmod(change.mode)
            if change.atime is not None or change.mtime is not None:
                atime = found.st_atime_ns if change.atime is None else change.atime
                mtime = found.st_mtime_ns if change.mtime is None else change.mtime
                os.utime(self.proc_path(), ns=(atime, mtime))
            return self.show(os.fstat(self.fd()))

    def _check_owner(self, change: Change, found: os.stat_result) -> None:
        """The app may give its files to itself alone: chown(2)."""
        now = self.tree.attributes(found)
        if change.uid not in (None, now.uid) or change.gid not in (None, now.gid):
            raise refusal(errno.EPERM)

    def _chown(self, change: Change, found: os.stat_result) -> None:
        """To whom it belongs already, or to nobody (-1); that sets the time of change too: chown(2)."""
        uid = -1 if change.uid is None else found.st_uid
        gid = -1 if change.gid is None else found.st_gid
        os.chown(self.proc_path(), uid, gid)

    def _chmod(self, mode: int) -> None:
        if self.kind == stat.S_IFLNK:
            raise refusal(errno.EOPNOTSUPP)
        keep = stat.S_ISGID if self.kind == stat.S_IFDIR else 0
        os.chmod(self.proc_path(), mode & ~(PRIVILEGE & ~keep))

    def truncate(self, size: int) -> None:
        """truncate(2)."""
        raise refusal(errno.EISDIR if self.kind == stat.S_IFDIR else errno.EINVAL)

    async def getxattr(self, name: bytes) -> bytes:
        _check_xattr(name)
        with self.tree:
            return os.getxattr(self.proc_path(), name)

    async def listxattr(self) -> Iterable[bytes]:
        with self.tree:
            names = [os.fsencode(name) for name in os.listxattr(self.proc_path())]
        return [name for name in names if name.startswith(b"user.")]

    async def setxattr(self, name: bytes, value: bytes) -> None:
        _check_xattr(name)
        with self.tree as tree:
            tree.require_writable()
            self.kept = None
            os.setxattr(self.proc_path(), name, value)

    async def removexattr(self, name: bytes) -> None:
        _check_xattr(name)
        with self.tree as tree:
            tree.require_writable()
            self.kept = None
            os.removexattr(self.proc_path(), name)


def _marks(found: os.stat_result) -> tuple[int, ...]:
    """What a change of a file changes."""
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_mode, found.st_nlink)


def _check_xattr(name: bytes) -> None:
    """Only attributes of users pass: others mean something to the host; xattr(7)."""
    if not name.startswith(b"user."):
        raise refusal(errno.ENOTSUP)


def one_name(name: bytes) -> bytes:
    """The name, or EINVAL for what leads elsewhere or is none. Who calls a node has checked that; here all
    depends on it, so it is not left to them."""
    if b"/" in name or b"\0" in name or name in (b"", b".", b".."):
        raise refusal(errno.EINVAL, name)
    return name


def open_path(directory_fd: int, name: bytes) -> int:
    """An O_PATH descriptor of one name in a directory, never of what a link leads to. One name needs none of
    openat2's rules: there is nothing on the way, and O_NOFOLLOW holds for links of every kind; open(2)."""
    return os.open(one_name(name), os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory_fd)
