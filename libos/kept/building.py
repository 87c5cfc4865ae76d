"""Making a copy of what an app wrote, beside the place where it will stand.

Kept: content with its holes, hard links among what is made, modes, extended attributes and ACLs, times,
links, FIFOs and sockets. Never made: set-user-id and set-group-id files, device files, attributes of
overlayfs. All of it is on disk after `sync`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Mapping

from libos.kept.comparing import Found
from libos.kept.entries import attributes, wanted_mode
from libos.kept.errors import ChangesError
from libos.kept.tree import Tree, join
from libos.kernel import files

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_COPY = 1 << 22
# Files beyond which one syncfs(2) is quicker than an fsync(2) for each: 2 ms each were measured on ext4.
_MANY = 64
# What copy_file_range(2) answers where two file systems cannot copy by themselves.
_NO_RANGE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
Inode = tuple[int, int]


class Builder:
    """Copies from `upper` into `lower`. `chosen` is what may be copied, by path; `links` where a file that is
    hard-linked in the upper layer stands in the lower tree already; `reached` is told of each step."""

    def __init__(
        self,
        upper: Tree,
        lower: Tree,
        chosen: Mapping[bytes, Found],
        links: dict[Inode, bytes],
        reached: Callable[[str], None],
    ) -> None:
        # One by one each file waits for the disk; many are made durable together, before the first rename.
        self._together = len(chosen) > _MANY
        self._upper = upper
        self._lower = lower
        self._links = links
        self._reached = reached
        self._below: dict[bytes, list[bytes]] = {}
        self._found = chosen
        for path in chosen:
            self._below.setdefault(path.rpartition(b"/")[0], []).append(path)

    def build(self, source: bytes, target: bytes) -> int:
        """Make what stands at `source`, with what was chosen below it, at the free path `target` of the lower
        tree; give its inode number. Raises OSError, ChangesError; what was made until then stays."""
        made = [(source, target)]
        for path, place in made:  # grows as directories are met
            found = self._found[path].upper
            assert found is not None
            self._make(path, place, found)
            self._reached("made")
            if stat.S_ISDIR(found.st_mode):
                made += [
                    (child, join(place, child.rpartition(b"/")[2])) for child in self._below.get(path, ())
                ]
        for path, place in reversed(made):
            found = self._found[path].upper
            assert found is not None
            if stat.S_ISDIR(found.st_mode):
                with self._lower.opened(place, os.O_RDONLY | os.O_DIRECTORY) as fd:
                    self._finish(path, found, fd)
        done = self._lower.stat(target)
        assert done is not None
        return done.st_ino

    def sync(self) -> None:
        """Make durable all that was built. Raises OSError."""
        if self._together:
            files.sync_filesystem(self._lower.fd)

    def _make(self, path: bytes, place: bytes, found: os.stat_result) -> None:
        kind = stat.S_IFMT(found.st_mode)
        with self._lower.parent(place) as (parent_fd, name):
            if kind == stat.S_IFDIR:
                os.mkdir(name, 0o700, dir_fd=parent_fd)
            elif kind == stat.S_IFREG:
                self._file(path, place, found)
            elif kind == stat.S_IFLNK:
                os.symlink(self._upper.target(path), name, dir_fd=parent_fd)
                self._dress(name, parent_fd, found)
            elif kind in (stat.S_IFIFO, stat.S_IFSOCK):
                os.mknod(name, kind | 0o600, dir_fd=parent_fd)
                with self._lower.pinned(place) as pin:
                    os.chmod(pin, wanted_mode(self._upper, found))
                self._dress(name, parent_fd, found)
            else:
                raise ChangesError(f"{os.fsdecode(path)} is a device file, which is never committed")

    def _file(self, path: bytes, place: bytes, found: os.stat_result) -> None:
        key = (found.st_dev, found.st_ino)
        if found.st_nlink > 1 and key in self._links and self._link(self._links[key], place):
            return
        with self._lower.parent(place) as (parent_fd, name):
            fd = os.open(name, _NEW, 0o600, dir_fd=parent_fd)
        try:
            with self._upper.opened(path) as source_fd:
                if not stat.S_ISREG(os.fstat(source_fd).st_mode):
                    raise ChangesError(f"{os.fsdecode(path)} changed while it was committed")
                copy_content(source_fd, fd, found.st_size)
            self._finish(path, found, fd)
        finally:
            os.close(fd)
        if found.st_nlink > 1:
            self._links[key] = place

    def _link(self, first: bytes, place: bytes) -> bool:
        """A further name for a file that was made; False where it cannot be linked."""
        with self._lower.parent(first) as (from_fd, name), self._lower.parent(place) as (to_fd, new):
            try:
                os.link(name, new, src_dir_fd=from_fd, dst_dir_fd=to_fd, follow_symlinks=False)
            except OSError as error:
                if error.errno in (errno.EMLINK, errno.EPERM, errno.EXDEV, errno.ENOENT):
                    return False
                raise
        return True

    def _finish(self, path: bytes, found: os.stat_result, fd: int) -> None:
        """Owner, mode, attributes, times of a file or directory, so that none undoes another."""
        give_owner(fd, found)
        os.fchmod(fd, wanted_mode(self._upper, found))
        set_attributes(fd, attributes(self._upper, path))
        os.utime(fd, ns=(found.st_atime_ns, found.st_mtime_ns))
        if not self._together:
            os.fsync(fd)

    def _dress(self, name: bytes, parent_fd: int, found: os.stat_result) -> None:
        with contextlib.suppress(PermissionError):
            os.chown(name, found.st_uid, found.st_gid, dir_fd=parent_fd, follow_symlinks=False)
        os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=parent_fd, follow_symlinks=False)


def give_owner(fd: int, wanted: os.stat_result) -> None:
    """Give a file the owner that the app's has, as far as the caller may; chown(2)."""
    has = os.fstat(fd)
    if (has.st_uid, has.st_gid) != (wanted.st_uid, wanted.st_gid):
        with contextlib.suppress(PermissionError):
            os.fchown(fd, wanted.st_uid, wanted.st_gid)


def set_attributes(fd: int, wanted: Mapping[str, bytes]) -> None:
    """Set extended attributes where the file system takes them; xattr(7)."""
    for name, value in wanted.items():
        try:
            os.setxattr(fd, name, value)
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise


def copy_content(source_fd: int, target_fd: int, size: int) -> None:
    """Copy the content of a regular file into an empty one; holes stay holes. lseek(2), SEEK_DATA."""
    os.ftruncate(target_fd, size)
    at = 0
    while at < size:
        try:
            at = os.lseek(source_fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return
            raise
        end = min(os.lseek(source_fd, at, os.SEEK_HOLE), size)
        at = _copy_range(source_fd, target_fd, at, end)


def _copy_range(source_fd: int, target_fd: int, at: int, end: int) -> int:
    """Copy the bytes from `at` to `end`; give where the copy ended, earlier only at the source's end."""
    by_kernel = True
    while at < end:
        length = min(end - at, _COPY)
        try:
            if by_kernel:
                done = os.copy_file_range(source_fd, target_fd, length, at, at)
            else:
                done = os.pwrite(target_fd, os.pread(source_fd, length, at), at)
        except OSError as error:
            if not by_kernel or error.errno not in _NO_RANGE:
                raise
            by_kernel = False
            continue
        if not done:
            return end
        at += done
    return at
