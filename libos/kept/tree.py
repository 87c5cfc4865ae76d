"""One directory tree, worked on relative to a descriptor of its top.

Rules:
- A path is bytes relative to the top, b"" for the top itself. No path is resolved through a symbolic link, a
  magic link or another mount, nor out of the tree: what an app wrote leads nowhere else. openat2(2).
- What its owner may not read (mode 000, as an app may leave it) is made readable until `close`; `mode` gives
  the mode that it has apart from that.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from libos.kernel import mounts

_RESOLVE = (
    mounts.RESOLVE_BENEATH
    | mounts.RESOLVE_NO_SYMLINKS
    | mounts.RESOLVE_NO_MAGICLINKS
    | mounts.RESOLVE_NO_XDEV
)
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
# Bytes of a path in one call: below PATH_MAX (4096), beyond which a path of any depth goes in pieces.
_PIECE = 3000
# What "there is no such thing" looks like: a component is absent, no directory, or a link.
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class Tree:
    """A tree; owns its descriptor until `close`."""

    def __init__(self, root_fd: int) -> None:
        self.fd = root_fd
        self._opened: dict[tuple[int, int], tuple[int, int]] = {}  # identity: (descriptor, its mode)

    @staticmethod
    def at(path: str, flags: int = os.O_RDONLY) -> Tree:
        """The tree at a path of the host; with O_PATH nothing is read of it yet. OSError where it is no
        directory or a link."""
        return Tree(os.open(path, flags | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC))

    def close(self) -> None:
        """Give back the modes that were lifted for reading, and the descriptors."""
        for fd, mode in self._opened.values():
            with suppress(OSError):
                os.chmod(f"/proc/self/fd/{fd}", mode)
            os.close(fd)
        self._opened.clear()
        os.close(self.fd)

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- looking

    def stat(self, path: bytes) -> os.stat_result | None:
        """What stands at a path itself; None where nothing does."""
        if not path:
            return os.fstat(self.fd)
        try:
            with self.parent(path) as (parent_fd, name):
                return os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
        except OSError as error:
            if error.errno in ABSENT:
                return None
            raise

    def mode(self, found: os.stat_result) -> int:
        """The permission bits of what was found."""
        lifted = self._opened.get((found.st_dev, found.st_ino))
        return lifted[1] if lifted else stat.S_IMODE(found.st_mode)

    def names(self, path: bytes) -> list[bytes]:
        """The names in a directory, sorted."""
        with self.opened(path, os.O_RDONLY | os.O_DIRECTORY) as fd:
            return sorted(os.fsencode(name) for name in os.listdir(fd))

    def target(self, path: bytes) -> bytes:
        """Where a symbolic link points."""
        with self.parent(path) as (parent_fd, name):
            return os.readlink(name, dir_fd=parent_fd)

    # --- descriptors

    @contextmanager
    def parent(self, path: bytes) -> Iterator[tuple[int, bytes]]:
        """The directory that holds the path's last name (O_PATH), and that name."""
        folder, _, name = path.rpartition(b"/")
        fd = self._directory(folder)
        try:
            yield fd, name
        finally:
            os.close(fd)

    @contextmanager
    def changing(self, path: bytes) -> Iterator[tuple[int, bytes]]:
        """As `parent`, for a tree of our own: its owner may change names there whatever mode an app left."""
        with self.parent(path) as (parent_fd, name):
            self._lift(parent_fd, b".")
            yield parent_fd, name

    @contextmanager
    def opened(self, path: bytes, flags: int = os.O_RDONLY) -> Iterator[int]:
        """A descriptor of a file or a directory, never waiting for a FIFO's other end."""
        fd = self._open(path, flags)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def pinned(self, path: bytes) -> Iterator[str]:
        """A path to exactly what stands at `path` now, through an O_PATH descriptor; proc_pid_fd(5)."""
        with self.opened(path, os.O_PATH) as fd:
            yield f"/proc/self/fd/{fd}"

    def _open(self, path: bytes, flags: int) -> int:
        folder, _, name = path.rpartition(b"/")
        parent_fd = self._directory(folder)
        flags |= os.O_NOFOLLOW | (0 if flags & os.O_PATH else os.O_NONBLOCK | os.O_NOCTTY)
        try:
            try:
                return mounts.open_beneath(parent_fd, name or b".", flags, _RESOLVE)
            except PermissionError:
                self._lift(parent_fd, name or b".")
                return mounts.open_beneath(parent_fd, name or b".", flags, _RESOLVE)
        finally:
            os.close(parent_fd)

    def _directory(self, path: bytes) -> int:
        """An O_PATH descriptor of a directory at any depth."""
        fd = os.dup(self.fd)
        for piece in _pieces(path):
            parent_fd = fd
            try:
                fd = self._descend(parent_fd, piece)
            finally:
                os.close(parent_fd)
        return fd

    def _descend(self, parent_fd: int, piece: bytes) -> int:
        try:
            return mounts.open_beneath(parent_fd, piece, _DIRECTORY, _RESOLVE)
        except PermissionError:
            fd = os.dup(parent_fd)
        for name in piece.split(b"/"):
            above = fd
            try:
                try:
                    fd = mounts.open_beneath(above, name, _DIRECTORY, _RESOLVE)
                except PermissionError:
                    self._lift(above, b".")
                    fd = mounts.open_beneath(above, name, _DIRECTORY, _RESOLVE)
            finally:
                os.close(above)
        self._lift(fd, b".")  # who asks for a directory looks into it
        return fd

    def _lift(self, parent_fd: int, name: bytes) -> None:
        """Let the owner read (and search) something for as long as this tree is open."""
        fd = mounts.open_beneath(parent_fd, name, os.O_PATH | os.O_NOFOLLOW, _RESOLVE)
        found = os.fstat(fd)
        kind, key = stat.S_IFMT(found.st_mode), (found.st_dev, found.st_ino)
        wanted = 0o700 if kind == stat.S_IFDIR else 0o400
        mode = stat.S_IMODE(found.st_mode)
        liftable = kind in (stat.S_IFDIR, stat.S_IFREG) and found.st_uid == os.geteuid()
        if not liftable or mode & wanted == wanted or key in self._opened:
            os.close(fd)
            return
        os.chmod(f"/proc/self/fd/{fd}", mode | wanted)
        self._opened[key] = (fd, mode)


def _pieces(path: bytes) -> Iterator[bytes]:
    """A path in parts that one call takes; none for the top."""
    while len(path) > _PIECE:
        cut = path.rindex(b"/", 0, _PIECE)
        yield path[:cut]
        path = path[cut + 1 :]
    if path:
        yield path


def join(folder: bytes, name: bytes) -> bytes:
    """A name in a directory of a tree."""
    return folder + b"/" + name if folder else name


def above(path: bytes) -> Iterator[bytes]:
    """The directories on the way to a path, nearest first, without the top."""
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path
