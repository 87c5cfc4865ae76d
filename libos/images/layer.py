"""One layer, a tar, applied to a tree.

Rules:
- Every path is resolved beneath the tree without following a link (openat2(2)): a layer that leads through a
  link is refused.
- A whiteout and an opaque directory take away what lower layers put there, never what this one does. What is
  there is replaced, never written: the files of lower layers are shared with other trees.
- Files, directories, symbolic and hard links are made; a device, a FIFO or a socket is refused. Owners,
  set-user-id and set-group-id bits and extended attributes are not kept: all belongs to who unpacks it.
- Modes of directories are given at the end, since a directory that may not be written could not be filled.

tar(5), and the pax format of POSIX.
"""

from __future__ import annotations

import errno
import math
import os
import stat
import tarfile
from typing import IO, Any, cast

from libos.images.bounds import Count
from libos.images.errors import ImageError
from libos.images.framing import Framed
from libos.images.names import path_of, said
from libos.images.streams import Readable
from libos.kept.removing import remove
from libos.kept.tree import ABSENT, Tree, above, join

_BLOCK = 1 << 20
# Seconds since 1970 that utimensat(2) takes on every file system: until 2242.
_LATEST = 1 << 33
_KINDS = {
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a FIFO",
}


class Making:
    """A tree that is being made, at first empty or a copy of another one. Not for two layers at a time."""

    def __init__(self, tree: Tree, count: Count) -> None:
        self.tree = tree
        self._count = count
        self._folders: dict[bytes, tuple[int, float]] = {b"": (0o755, 0)}  # mode and time of change
        self._own: set[bytes] = set()

    def copy(self, lower: Tree) -> None:
        """Take in all of a lower tree: directories anew, the rest by hard links. The tree must be empty."""
        waiting = [b""]
        while waiting:
            folder = waiting.pop()
            found = lower.stat(folder)
            assert found is not None
            self._folders[folder] = (stat.S_IMODE(lower.mode(found)), found.st_mtime)
            with lower.opened(folder) as from_fd, self.tree.opened(folder) as to_fd:
                for name in os.listdir(from_fd):
                    child = os.stat(name, dir_fd=from_fd, follow_symlinks=False)
                    if stat.S_ISDIR(child.st_mode):
                        os.mkdir(name, 0o700, dir_fd=to_fd)
                        waiting.append(join(folder, os.fsencode(name)))
                    else:
                        os.link(name, name, src_dir_fd=from_fd, dst_dir_fd=to_fd, follow_symlinks=False)

    def apply(self, source: Readable) -> None:
        """Apply the tar of one layer. ImageError, with the entry that is wrong; OSError."""
        self._own = set()
        framed = Framed(source)
        try:
            with tarfile.open(fileobj=cast(IO[bytes], framed), mode="r|") as tar:
                while (member := tar.next()) is not None:
                    framed.content()
                    self._count.entry(len(member.name))
                    self._one(tar, member)
                    tar.members = []  # type: ignore[attr-defined]  # it keeps all that it has seen
                    framed.headers()
                framed.judge_end(tar.offset)
        except (ImageError, OSError):
            raise
        except Exception as error:  # tarfile has no one error for what it cannot read
            raise ImageError(f"it is no whole tar: {error or type(error).__name__}") from None

    def _one(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = said(member.name)
        self._count.judge_depth(name.path.count(b"/") + 1)
        try:
            if name.what == "whiteout":
                self._take_away(name.path)
            elif name.what == "opaque":
                for child in self.tree.names(name.path) if self._is_directory(name.path) else ():
                    self._take_away(join(name.path, child))
            elif name.what == "entry":
                self._enter(tar, member, name.path)
            if name.what != "entry" and member.size:
                raise ImageError(f"{member.name!r} has content, which nothing of its name has")
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.EXDEV):  # as openat2(2) refuses
                raise ImageError(f"{member.name!r} leads through a link or a file") from None
            raise

    def _is_directory(self, path: bytes) -> bool:
        found = self.tree.stat(path)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def _take_away(self, path: bytes) -> None:
        """Remove what lower layers put at a path, and below it."""
        if path not in self._own:
            self._remove(path)
        elif self._is_directory(path):
            for child in self.tree.names(path):
                self._take_away(join(path, child))

    def _remove(self, path: bytes) -> None:
        if self.tree.stat(path) is not None:
            remove(self.tree, path)

    def _enter(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: bytes) -> None:
        if member.type in _KINDS or not (
            member.isreg() or member.isdir() or member.issym() or member.islnk()
        ):
            kind = _KINDS.get(member.type, f"of the type {member.type!r}")
            raise ImageError(f"{member.name!r} is {kind}: an image holds files, directories and links")
        self._make_way(path)
        moment = min(max(float(member.mtime), 0.0), _LATEST) if math.isfinite(member.mtime) else 0.0
        if member.isdir():
            self._folder(path, member.mode & 0o1777, moment)
            return
        if not path:
            raise ImageError(f"{member.name!r}: the top of an image is a directory")
        if "\0" in member.linkname or member.size < 0:
            raise ImageError(f"{member.name!r} is no entry that a file could be made of")
        linked = path_of(member.linkname) if member.islnk() else b""
        if linked == path:
            raise ImageError(f"{member.name!r} is a link to itself")
        self._remove(path)
        with self.tree.changing(path) as (parent_fd, name):
            if member.islnk():
                self._link(member, linked, parent_fd, name)
            elif member.issym():
                os.symlink(os.fsencode(member.linkname), name, dir_fd=parent_fd)
                os.utime(name, (moment, moment), dir_fd=parent_fd, follow_symlinks=False)
            else:
                self._write(tar, member, parent_fd, name, moment)
        self._own.add(path)

    def _make_way(self, path: bytes) -> None:
        """Make the directories above a path that are not there. OSError where one is something else."""
        folders = list(above(path))
        self._own.update(folders)
        if not folders or self._is_directory(folders[0]):
            return
        for folder in reversed(folders):
            if self.tree.stat(folder) is None:
                self._folder(folder, 0o755, 0.0)

    def _folder(self, path: bytes, mode: int, moment: float) -> None:
        if not self._is_directory(path):
            self._remove(path)
            with self.tree.changing(path) as (parent_fd, name):
                os.mkdir(name, 0o700, dir_fd=parent_fd)
        self._folders[path] = (mode, moment)
        self._own.add(path)

    def _link(self, member: tarfile.TarInfo, linked: bytes, parent_fd: int, name: bytes) -> None:
        found = self.tree.stat(linked)
        if found is None or not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)):
            raise ImageError(
                f"{member.name!r} is a link to {member.linkname!r}, which is no file of the image"
            )
        with self.tree.parent(linked) as (from_fd, old):
            os.link(old, name, src_dir_fd=from_fd, dst_dir_fd=parent_fd, follow_symlinks=False)

    def _write(
        self, tar: tarfile.TarFile, member: tarfile.TarInfo, parent_fd: int, name: bytes, moment: float
    ) -> None:
        source: IO[bytes] | Any = tar.extractfile(member)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(name, flags, 0o600, dir_fd=parent_fd), "wb") as file:
            left = member.size
            while left and (data := source.read(min(left, _BLOCK))):
                left -= len(data)
                self._count.add(len(data))
                file.write(data)
            if left:
                raise ImageError(f"{member.name!r} is cut off")
            file.flush()
            os.fchmod(file.fileno(), member.mode & 0o777)
            os.utime(file.fileno(), (moment, moment))

    def finish(self) -> None:
        """Give the directories their modes and times, the deepest first."""
        deepest_first = sorted(self._folders, key=lambda path: (bool(path), path.count(b"/")), reverse=True)
        for path in deepest_first:
            mode, moment = self._folders[path]
            try:
                with self.tree.opened(path, os.O_RDONLY | os.O_DIRECTORY) as fd:
                    os.utime(fd, (moment, moment))
                    os.fchmod(fd, mode)
            except OSError as error:
                if error.errno not in ABSENT:  # taken away by what came later
                    raise
