"""Copying a closure: from the trees of the host into one root.

- A path is looked up descriptor by descriptor, never through a link: what changes meanwhile leads
  nowhere else.
- Files keep their bytes, permission bits and times; links their targets; owners are who bundles. Set-user-id
  and set-group-id bits, extended attributes and hard links are not kept.
- A socket, a FIFO or a device is refused: a bundle is files.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from libos.bundling.errors import BundleError
from libos.harmless import harmless
from libos.kept.tree import Tree, above


@dataclass
class Copied:
    """What a root holds: files, links and directories by number, and the bytes of the files."""

    files: int = 0
    links: int = 0
    directories: int = 0
    bytes: int = 0


def copy(source: str, at: str, used: Iterable[str], root: Path, copied: Copied) -> None:
    """Copy what was used of a mount of `source` at `at` to its place below `root`. OSError, BundleError."""
    source, place = os.path.realpath(source), root / at.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    if not os.path.isdir(source):
        folder, name = os.path.split(os.fsencode(source))
        with Tree.at(os.fsdecode(folder)) as tree:
            _copy(tree, name, os.fsencode(place), copied)
        return
    with Tree.at(source) as tree:
        directories: dict[bytes, os.stat_result] = {}
        for path in sorted(_with_parents(at, used)):
            _copy(tree, path, os.path.join(os.fsencode(place), path) if path else os.fsencode(place), copied)
            status = tree.stat(path)
            if status is not None and stat.S_ISDIR(status.st_mode):
                directories[path] = status
        # Last, and from below: a directory may be one in which nobody may make anything.
        for path in sorted(directories, reverse=True):
            _finish(os.path.join(os.fsencode(place), path), tree.mode(directories[path]), directories[path])


def _with_parents(at: str, used: Iterable[str]) -> set[bytes]:
    """Paths relative to the mount, with all directories that lead there."""
    top = os.fsencode(at).rstrip(b"/")
    paths = {os.fsencode(path)[len(top) :].strip(b"/") for path in used}
    return {b""} | paths | {folder for path in paths for folder in above(path)}


def _copy(tree: Tree, path: bytes, to: bytes, copied: Copied) -> None:
    """Copy one thing; a directory without what is in it, writable until `_finish`."""
    status = tree.stat(path)
    if status is None:
        raise BundleError(f"{harmless(os.fsdecode(to))}: was removed from the host while it was bundled")
    if stat.S_ISDIR(status.st_mode):
        os.makedirs(to, exist_ok=True)
        copied.directories += 1
    elif stat.S_ISLNK(status.st_mode):
        os.symlink(tree.target(path), to)
        os.utime(to, ns=(status.st_mtime_ns, status.st_mtime_ns), follow_symlinks=False)
        copied.links += 1
    elif stat.S_ISREG(status.st_mode):
        with tree.opened(path) as fd, open(os.dup(fd), "rb") as file, open(to, "xb") as made:
            shutil.copyfileobj(file, made)
            copied.bytes += made.tell()
        _finish(to, tree.mode(status), status)
        copied.files += 1
    else:
        raise BundleError(
            f"{harmless(os.fsdecode(path))} is a socket, a FIFO or a device: a bundle holds files; "
            "mount what it belongs to read-write, or as a service"
        )


def _finish(path: bytes, mode: int, status: os.stat_result) -> None:
    os.chmod(path, mode & 0o777)
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))


def pack(root: Path, file: Path) -> None:
    """Write a root as one tar: the same root gives the same bytes. Names are sorted, owners are 0."""
    import tarfile

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mtime = int(entry.mtime)
        return entry

    with open(file, "xb") as made:
        with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path in sorted(root.rglob("*")):
                tar.add(path, str(path.relative_to(root)), recursive=False, filter=plain)
        made.flush()
        os.fsync(made.fileno())
