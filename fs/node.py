"""The one interface of everything that is served: directories, files, symbolic links and open handles.

Rules:
- Names and link targets are bytes, one path component each: never empty, ".", "..", with "/" or NUL, nor
  longer than 255 bytes. Who calls a node (the server, a test) has checked that.
- An error is an OSError with an errno from the operation's manual page. Anything else that a node raises is
  a fault: the program gets EIO and the caller of libos gets an event.
- An operation that a node does not have answers the errno that the manual page gives: deny by default.
- Nodes do not check permissions: the kernel does, by the attributes that they report (mount option
  default_permissions). A node refuses what it cannot do.
- Each operation may wait, except `known`, and may be cancelled at any checkpoint. Nothing may block the
  thread.
- A node is the same file for as long as it is the same object: two names for one object are hard links.

The shape is close to 9P (walk, open, read, write, stat, create, remove), so that what can be served by 9P
can be a node; intro(5) of Plan 9, section 5.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

# Told of a change: the path, relative to the root of the tree and without a leading slash, and whether the
# name leads elsewhere or nowhere now (True) or its node has other attributes or content (False). Never
# waits.
Changed = Callable[[bytes, bool], None]

# Called once when what `Handle.poll` said may have changed. Never waits.
Wake = Callable[[], None]

# uid and gid of the app inside every world, and of whoever else may own a file (overflowuid in
# proc_sys_kernel(5)). FUSE attributes carry these numbers. NOBODY has no number in a world that an ordinary
# user started: there the kernel refuses to change or remove such a file (EACCES, EOVERFLOW) before it asks,
# so what libos itself makes belongs to the app and is protected by its mode.
APP = (1000, 1000)
NOBODY = (65534, 65534)

# Bytes of a name at most: NAME_MAX of <limits.h>, what every file system on Linux gives.
NAME_MAX = 255
# What poll(2) says of a file that never makes anybody wait: DEFAULT_POLLMASK of linux/poll.h.
ALWAYS_READY = select.POLLIN | select.POLLOUT | select.POLLRDNORM | select.POLLWRNORM
# Bytes of a symbolic link's target at most: PATH_MAX of <limits.h> without its NUL; symlink(2).
TARGET_MAX = 4095


def refusal(number: int, name: bytes | None = None) -> OSError:
    """The OSError of an errno, with its own text; `name` is the path component that it is about."""
    if name is None:
        return OSError(number, os.strerror(number))
    return OSError(number, os.strerror(number), name)


class ReportedError(OSError):
    """An errno for the program of which the caller of libos hears too, by a fault event with this text."""

    def __str__(self) -> str:
        return str(self.strerror)


class Attributes(NamedTuple):
    """What stat(2) shows of a node. Times are nanoseconds since 1970; `blocks` are of 512 bytes."""

    mode: int
    size: int = 0
    links: int = 1
    uid: int = NOBODY[0]
    gid: int = NOBODY[1]
    device: int = 0
    atime: int = 0
    mtime: int = 0
    ctime: int = 0
    blocks: int = 0


class Change(NamedTuple):
    """What chmod(2), chown(2), truncate(2) and utimensat(2) ask for; None leaves a field as it is."""

    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: int | None = None
    atime: int | None = None
    mtime: int | None = None


# What chown(2) to -1 and -1 asks for: the time of change alone is new.
NO_CHANGE = Change()


class Caller(NamedTuple):
    """The thread that asks: its id on the host (0: none), and who it is in the numbering of attributes."""

    pid: int = 0
    uid: int = APP[0]
    gid: int = APP[1]


@dataclass(frozen=True, slots=True)
class Cache:
    """For how long the kernel may believe what it was told of a node. Seconds."""

    entry: float = 0.0  # names in this directory lead where they led
    attributes: float = 0.0
    content: bool = False  # what one open has read serves the next one
    direct: bool = False  # nothing is kept, each read(2) and write(2) arrives as it was made; no shared mmap
    parting: bool = False  # names of this node are never believed: they may part, and nobody will tell


# Nodes whose every change goes through the server or is announced to it. A year: longer than any supervisor
# runs.
STATIC = Cache(entry=31_536_000.0, attributes=31_536_000.0, content=True)
# Nodes that change by themselves: each use asks again.
CHANGING = Cache()
# Files whose size nobody knows before they are read, as in proc(5).
STREAM = Cache(direct=True)


class Node:
    """One file, directory or link. Subclasses set `kind` (S_IFREG, S_IFDIR, …) and answer `stat`."""

    kind: int = 0
    cache: Cache = CHANGING
    # Seconds after which a waiting operation of this node is answered with ETIMEDOUT; None: the server's
    # own limit.
    deadline: float | None = None

    @property
    def original(self) -> Node:
        """The node itself, without the layers over it: what is one file in all places where it is shown."""
        return self

    def known(self) -> Attributes | None:
        """The attributes if they are known without waiting, else None. Called where waiting would block a
        whole directory (a lookup): with None the kernel is told the kind alone, and asks `stat` before
        use."""
        return None

    async def stat(self) -> Attributes:
        """The attributes now; stat(2)."""
        attributes = self.known()
        if attributes is None:
            raise refusal(errno.EACCES)
        return attributes

    async def setattr(self, change: Change) -> Attributes:
        """Applies all that `change` names, in the order size, owner, mode, times; returns the new attributes.
        EPERM by default: chmod(2)."""
        raise refusal(errno.EPERM)

    async def getxattr(self, name: bytes) -> bytes:
        """ENODATA where there is none, ENOTSUP by default: getxattr(2)."""
        raise refusal(errno.ENOTSUP)

    async def listxattr(self) -> Iterable[bytes]:
        """The names of all extended attributes; none by default: listxattr(2)."""
        return ()

    async def setxattr(self, name: bytes, value: bytes) -> None:
        """Creates or replaces; ENOTSUP by default: setxattr(2)."""
        raise refusal(errno.ENOTSUP)

    async def removexattr(self, name: bytes) -> None:
        """ENODATA where there is none, ENOTSUP by default: removexattr(2)."""
        raise refusal(errno.ENOTSUP)


def _not_at_hand(name: bytes) -> Node | None:
    return None


class Directory(Node):
    """Names that lead to nodes."""

    kind = stat.S_IFDIR

    async def walk(self, name: bytes) -> Node:
        """The node of a name. ENOENT where there is none. Two walks to one file give one object for as long
        as somebody holds it. A walk that waits holds up the other walks in this directory: better wait in
        stat or open."""
        raise refusal(errno.ENOENT, name)

    def at_hand(self) -> Callable[[bytes], Node | None]:
        """What gives the node of a name as `walk` would, where that is known without looking, else None: a
        listing asks it first. Good until the next wait."""
        return _not_at_hand

    def keeps_absent(self, name: bytes) -> float:
        """For how many seconds the kernel may believe that there is no such name, as `walk` said just now:
        only where `watch` tells when it comes. Not at all by default."""
        return 0.0

    def unchanged(self) -> object:
        """Something that is equal to what this gave before exactly if since then no name changed, nor what
        `known` gives of any node that was at hand. None where that is not known: the default."""
        return None

    def same_names(self) -> object:
        """Something that is equal to what this gave before exactly if since then no name came, went away or
        led elsewhere, and if each such change to come is told by `watch` or made through the server. The
        kernel may then list the directory by itself, and `readdir` is not called. None where that is not
        known, or each `readdir` has to be seen: the default."""
        return None

    async def readdir(self) -> list[bytes]:
        """All names, without "." and "..", in any order; readdir(3). A snapshot: later changes do not touch
        it."""
        raise refusal(errno.EACCES)

    async def create(self, name: bytes, mode: int, flags: int, caller: Caller) -> tuple[Node, Handle]:
        """Makes a regular file and opens it; open(2) with O_CREAT. `mode` has the umask applied. EEXIST
        where the name is taken. EACCES by default."""
        raise refusal(errno.EACCES, name)

    async def mkdir(self, name: bytes, mode: int, caller: Caller) -> Node:
        """EEXIST where the name is taken; EPERM by default: mkdir(2)."""
        raise refusal(errno.EPERM, name)

    async def symlink(self, name: bytes, target: bytes, caller: Caller) -> Node:
        """EEXIST where the name is taken; EPERM by default: symlink(2)."""
        raise refusal(errno.EPERM, name)

    async def mknod(self, name: bytes, mode: int, device: int, caller: Caller) -> Node:
        """Makes a regular file, FIFO or socket, by the type bits of `mode`. EEXIST where the name is taken;
        EPERM by default, and for device files always: mknod(2)."""
        raise refusal(errno.EPERM, name)

    async def link(self, name: bytes, node: Node) -> None:
        """A further name for `node`. EXDEV where the node is of another tree; EPERM by default: link(2)."""
        raise refusal(errno.EPERM, name)

    async def remove(self, name: bytes, *, directory: bool) -> None:
        """unlink(2), or rmdir(2) when `directory`. ENOENT; EISDIR or ENOTDIR; ENOTEMPTY. The node lives on
        for who holds it. EPERM by default."""
        raise refusal(errno.EPERM, name)

    async def rename(self, name: bytes, parent: Directory, new_name: bytes, flags: int) -> None:
        """renameat2(2) into `parent`: flags are 0, RENAME_NOREPLACE, RENAME_EXCHANGE; EINVAL for others.
        EXDEV where `parent` is of another tree; EPERM by default."""
        raise refusal(errno.EPERM, name)

    async def stand_ins(self, name: bytes) -> Sequence[Directory]:
        """The directories of other trees through which `name` may come here by a rename from one of them, in
        the order in which they are tried: those of a union. Itself by default."""
        return (self,)

    async def fsync(self, *, data_only: bool) -> None:
        """Makes the names durable; fsync(2). Nothing to do by default."""

    def watch(self, changed: Changed) -> None:
        """A tree that changes by itself, not through the server, calls `changed` after each change, on the
        trio thread. Called once for each place where the tree is attached; does nothing by default."""


class File(Node):
    """A regular file (FIFOs, sockets and device files are nodes too, but the kernel itself opens those)."""

    kind = stat.S_IFREG

    async def open(self, flags: int, caller: Caller) -> Handle:
        """open(2). `flags` hold the access mode and O_TRUNC, O_APPEND, O_SYNC …; with O_TRUNC the content
        is dropped. EACCES by default."""
        raise refusal(errno.EACCES)


class Symlink(Node):
    """A symbolic link. Its target is resolved by the kernel, in the world's own namespace."""

    kind = stat.S_IFLNK

    async def readlink(self) -> bytes:
        """The target: 1 to 4095 bytes without NUL; readlink(2). EACCES by default."""
        raise refusal(errno.EACCES)


class Handle:
    """An open file. Several reads and writes may be under way at once."""

    # True where this open cannot be cached although its node says otherwise.
    direct: bool = False
    # False where there are no offsets, as in a pipe: lseek(2) and pread(2) are ESPIPE.
    seekable: bool = True

    def poll(self, wake: Wake | None) -> int:
        """Which of POLLIN, POLLOUT … hold now; poll(2). `wake` is to be called once when more of them may
        hold; a later one takes the place of an earlier one. Called often, never waits. Always ready by
        default."""
        return ALWAYS_READY

    async def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`, fewer only at the end of the file; pread(2). EBADF by default."""
        raise refusal(errno.EBADF)

    async def write(self, offset: int, data: bytes) -> int:
        """The number of bytes taken, all of them unless the file is `direct`; pwrite(2). With O_APPEND the
        kernel gives the offset of the end that it knows. EBADF by default."""
        raise refusal(errno.EBADF)

    async def fsync(self, *, data_only: bool) -> None:
        """fsync(2), fdatasync(2). Nothing to do by default."""

    async def close(self) -> None:
        """The last descriptor is gone: lets go of all that the handle holds. Comes once. Nobody hears of an
        error."""
