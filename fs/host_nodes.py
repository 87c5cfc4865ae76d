"""The files, links and special files of a host tree, and what the whole tree shares.

See libos.fs.host for the rules. Nothing here waits between getting a descriptor and using it: sync on
purpose.
"""

from __future__ import annotations

import errno
import os
import stat
import time
import weakref
from collections.abc import Iterable
from types import TracebackType

import trio

from libos.fs.descriptors import TOTAL, Descriptors, Key, default_capacity
from libos.fs.node import APP, NOBODY, Attributes, Cache, Caller, Change, File, Handle, Node, Symlink, refusal
from libos.kernel import files, mounts

# One name, and nothing that leads elsewhere: openat2(2).
RESOLVE = mounts.RESOLVE_BENEATH | mounts.RESOLVE_NO_MAGICLINKS | mounts.RESOLVE_NO_SYMLINKS
# The flags of open(2) that reach the host; all others are the kernel's own business, or have no meaning here.
PASSED = os.O_ACCMODE | os.O_APPEND | os.O_TRUNC | os.O_SYNC | os.O_DSYNC
# Seconds between two tries to open a file on which somebody holds a lease; the kernel gives its holder
# /proc/sys/fs/lease-break-time, 45.
LEASE_TICK = 0.05
# Set-user-id and set-group-id: a file that an app made must never carry a host user's rights.
PRIVILEGE = stat.S_ISUID | stat.S_ISGID
# What the kernel may believe of a file of the host: nothing, unless it is quiet (unchanged for QUIET_AGE);
# then, for a tenth of a second, the attributes. A program that reads on would otherwise ask for the size at
# each read(2). Names are asked for each time, and bring new attributes, so only who works by a descriptor
# sees this delay.
LIVELY = Cache(content=True)
QUIET = Cache(attributes=0.1, content=True)
# Nanoseconds: what git calls racy is a second; file systems with coarse times have two (FAT).
QUIET_AGE = 2_000_000_000


# File systems that are the kernel's own voice: what they show and let be changed depends on who opens them,
# and that would be the server. proc, sysfs, cgroup, cgroup2, debugfs, tracefs, securityfs, bpf, configfs,
# efivarfs, pstore, selinuxfs, binfmt_misc, fusectl, nsfs: linux/magic.h, and fs/*/ of Linux.
SPECIAL = frozenset(
    (0x9FA0, 0x62656572, 0x27E0EB, 0x63677270, 0x64626720, 0x74726163, 0x73636673, 0xCAFE4A11)
    + (0x62656570, 0xDE5E81E4, 0x6165676C, 0xF97CFF8C, 0x42494E4D, 0x65735543, 0x6E736673)
)


class Tree:
    """What all nodes of one host tree share. `owner` is the host's (uid, gid) that shows as the app's."""

    def __init__(self, writable: bool, owner: tuple[int, int], capacity: int | None) -> None:
        self.writable = writable
        self.owner = owner
        self.descriptors = Descriptors(default_capacity() if capacity is None else capacity)
        self.most_open = default_capacity() * 4
        self.open_files = 0
        # File systems (st_dev) that were looked at and are served.
        self._admitted: set[int] = set()
        # Operations so far: what was seen in one is not believed in the next.
        self.turns = 0
        # Entries are taken out by __del__: half the price of a WeakValueDictionary.
        self._nodes: dict[Key, weakref.ref[HostNode]] = {}
        # Root takes the owner's identity for each operation, so that it can do no more than the owner may.
        self._switch = os.geteuid() == 0 and owner[0] != 0

    def __enter__(self) -> Tree:
        """The identity of the owner, for calls that do not wait."""
        self.turns += 1
        self.descriptors.trim()
        if self._switch:
            files.set_file_owner(*self.owner)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._switch:
            files.set_file_owner(0, os.getegid())

    def require_room(self) -> None:
        """ENFILE when too many files are open here, or too few are left for other trees."""
        if self.open_files >= self.most_open or not TOTAL.has_room(self.open_files):
            raise refusal(errno.ENFILE)

    def admit(self, fd: int, found: os.stat_result) -> None:
        """EACCES for what stands on a file system that is not served."""
        if found.st_dev not in self._admitted:
            if files.filesystem_type(fd) in SPECIAL:
                raise refusal(errno.EACCES)
            self._admitted.add(found.st_dev)

    def held(self, key: Key) -> HostNode | None:
        """The node of a file that somebody holds."""
        reference = self._nodes.get(key)
        return None if reference is None else reference()

    def hold(self, node: HostNode) -> None:
        """Makes a node the one of its file."""
        self._nodes[node.key] = weakref.ref(node)

    def let_go(self, node: HostNode) -> bool:
        """Takes a node out; False where another one has become its file's."""
        if self.held(node.key) not in (None, node):
            return False
        self._nodes.pop(node.key, None)
        return True

    def require_writable(self) -> None:
        """EROFS for a tree that is read-only."""
        if not self.writable:
            raise refusal(errno.EROFS)

    def attributes(self, found: os.stat_result) -> Attributes:
        """stat's result in the world's numbering."""
        mode = found.st_mode
        return Attributes(
            mode & ~PRIVILEGE if stat.S_ISREG(mode) else mode,
            found.st_size,
            found.st_nlink,
            APP[0] if found.st_uid == self.owner[0] else NOBODY[0],
            APP[1] if found.st_gid == self.owner[1] else NOBODY[1],
            found.st_rdev,
            found.st_atime_ns,
            found.st_mtime_ns,
            found.st_ctime_ns,
            found.st_blocks,
        )


class HostNode(Node):
    """A file of the host, held by an O_PATH descriptor that may be closed and opened again by parent and
    name."""

    # The host may change anything at any moment, so each use asks again; but content that did not change
    # stays.
    cache = Cache(content=True)

    def __init__(self, tree: Tree, key: Key, parent: HostNode | None, name: bytes, kind: int) -> None:
        self.tree = tree
        self.key = key
        self.parent = parent
        self.name = name
        self.kind = kind
        self.found: os.stat_result | None = None
        self.turn = 0

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
        found, self.found = self.found, None
        if found is not None and self.tree.turns == self.turn:
            return self.show(found)
        with self.tree:
            return self.show(os.fstat(self.fd()))

    async def stat(self) -> Attributes:
        with self.tree:
            return self.show(os.fstat(self.fd()))

    def looked_at(self, found: os.stat_result) -> None:
        """Keeps what was seen of it just now for `known`, which the server asks before anything else."""
        self.found, self.turn = found, self.tree.turns

    def show(self, found: os.stat_result) -> Attributes:
        """Its attributes, and how long they may be believed."""
        age = time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns)
        self.cache = QUIET if age > QUIET_AGE else LIVELY
        return self.tree.attributes(found)

    async def setattr(self, change: Change) -> Attributes:
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
            os.setxattr(self.proc_path(), name, value)

    async def removexattr(self, name: bytes) -> None:
        _check_xattr(name)
        with self.tree as tree:
            tree.require_writable()
            os.removexattr(self.proc_path(), name)


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


class HostFile(HostNode, File):
    """A regular file."""

    def __init__(self, tree: Tree, key: Key, parent: HostNode | None, name: bytes, kind: int) -> None:
        super().__init__(tree, key, parent, name, kind)
        self.writers: list[HostHandle] = []

    def truncate(self, size: int) -> None:
        """By a descriptor open for writing where there is one: its right does not depend on the mode of
        now."""
        if self.writers:
            os.ftruncate(self.writers[-1].fd, size)
        else:
            # Not by path: truncate(2) waits for a lease to be given up, and everybody would with it.
            fd = os.open(self.proc_path(), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.ftruncate(fd, size)
            finally:
                os.close(fd)

    async def open(self, flags: int, caller: Caller) -> Handle:
        while True:
            try:
                return self._open(flags)
            except BlockingIOError:
                if flags & os.O_NONBLOCK:
                    raise
                await trio.sleep(LEASE_TICK)

    def _open(self, flags: int) -> Handle:
        """open(2), or BlockingIOError while somebody holds a lease on the file; fcntl(2)."""
        with self.tree as tree:
            if flags & os.O_ACCMODE != os.O_RDONLY or flags & os.O_TRUNC:
                tree.require_writable()
            tree.require_room()
            own = os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
            return HostHandle(self, os.open(self.proc_path(), flags & PASSED | own), flags)


class HostHandle(Handle):
    """An open file of the host, by a descriptor of its own."""

    def __init__(self, file: HostFile, fd: int, flags: int) -> None:
        self.fd = fd
        self._file = file
        file.tree.open_files += 1
        TOTAL.opened += 1
        if flags & os.O_ACCMODE != os.O_RDONLY:
            file.writers.append(self)

    async def read(self, offset: int, size: int) -> bytes:
        data = os.pread(self.fd, size, offset)
        while 0 < len(data) < size:  # pread(2) may give less than there is
            more = os.pread(self.fd, size - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    async def write(self, offset: int, data: bytes) -> int:
        done = os.pwrite(self.fd, data, offset)
        while done < len(data):
            done += os.pwrite(self.fd, memoryview(data)[done:], offset + done)
        return done

    async def fsync(self, *, data_only: bool) -> None:
        """In a worker thread, on a descriptor of its own: it takes as long as the disk does."""
        await sync(self.fd, data_only)

    async def close(self) -> None:
        self._file.tree.open_files -= 1
        TOTAL.opened -= 1
        if self in self._file.writers:
            self._file.writers.remove(self)
        os.close(self.fd)


async def sync(fd: int, data_only: bool) -> None:
    """fsync(2) or fdatasync(2) without holding up the trio thread; a cancelled one goes on in its thread."""
    own_fd = os.dup(fd)

    def run() -> None:
        try:
            os.fdatasync(own_fd) if data_only else os.fsync(own_fd)
        finally:
            os.close(own_fd)

    await trio.to_thread.run_sync(run, abandon_on_cancel=True)


class HostLink(HostNode, Symlink):
    """A symbolic link; the world resolves its target in its own namespace, so it leads nowhere else."""

    async def readlink(self) -> bytes:
        with self.tree:
            return os.readlink(b"", dir_fd=self.fd())
