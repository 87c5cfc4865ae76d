"""What the host changes below a served tree, so that the kernel may keep what it was told.

Rules:
- Nothing is kept that is not watched: names and attributes of a directory's files are kept for KEEP only
  while inotify(7) watches the directory, which begins before the first look into it.
- Nothing is kept of what inotify cannot speak for: other file systems than FILESYSTEMS, files with several
  hard links, files that a program here has open for writing, files that changed lately.
- An event is compared with what was told: what this tree changed itself is known here and to the kernel
  already, and announcing it again would cost the program its cached pages. Of a directory that changed lately
  each event is told.
- Whoever asks the server gets what is true after all events up to now. Who asks the kernel alone may see what
  was for as long as an event takes to come; a change by a mapping of the host's makes no event, and is seen
  after KEEP three times, at most: a look, the listing that tells it again, and what the kernel keeps of that.
- An overlay tells what is changed through it; so the host's directory below each of its directories is
  watched too, and where that is not known (`Tree.below_fd`), nothing is kept. Files with several names are
  found by name each time: a first change parts them, which nothing tells. Kernel: filesystems/overlayfs.rst.
- A name that was found absent is kept as a name that is there: until something comes to stand there.
"""

from __future__ import annotations

import logging
import os
import select
import weakref
from typing import TYPE_CHECKING

import trio

from libos.fs.node import Changed
from libos.kernel import inotify, mounts

if TYPE_CHECKING:
    from libos.fs.host import HostDirectory
    from libos.fs.host_nodes import HostNode

log = logging.getLogger("libos.fs")

# Seconds for which the kernel keeps what is watched, and for which a look is not done again here.
KEEP = 5.0
# Their changes all come by this machine's kernel: ext, XFS, Btrfs, tmpfs, F2FS. linux/magic.h
FILESYSTEMS = frozenset((0xEF53, 0x58465342, 0x9123683E, 0x01021994, 0xF2F52010))
OVERLAY = 0x794C7630
EVENTS = (
    inotify.MODIFY
    | inotify.ATTRIB
    | inotify.CLOSE_WRITE
    | inotify.MOVED_FROM
    | inotify.MOVED_TO
    | inotify.CREATE
    | inotify.DELETE
    | inotify.ONLYDIR
    | inotify.EXCL_UNLINK
)
# The way down below an overlay, where links may stand meanwhile: openat2(2).
RESOLVE = mounts.RESOLVE_BENEATH | mounts.RESOLVE_NO_SYMLINKS
# Those that change which names there are.
NAMES = inotify.MOVED_FROM | inotify.MOVED_TO | inotify.CREATE | inotify.DELETE
# Directories watched by one tree, and below one: an eighth of what Linux lets a user watch at least (8192).
MOST = 1024


class Watches:
    """The watched directories of one tree, and who wants to know. On the trio thread only."""

    def __init__(self) -> None:
        self._fd = -1
        self._poll = select.poll()
        self._failed = False
        self._directories: dict[int, weakref.ref[HostDirectory]] = {}
        self._listeners: list[tuple[HostDirectory, Changed]] = []

    def listen(self, top: HostDirectory, changed: Changed) -> None:
        """Has `changed` called with paths below `top`. Only then anything is watched."""
        self._listeners.append((top, changed))

    def add(self, directory: HostDirectory) -> bool:
        """Watches a directory, if that can be done and somebody listens."""
        if self._failed or not self._listeners or len(self._directories) >= MOST:
            return False
        below = 0
        try:
            if self._fd < 0:
                self._fd = inotify.opened()
                self._poll.register(self._fd, select.POLLIN)
                trio.lowlevel.spawn_system_task(self._read, self._fd)
            below = self._add_below(directory)
            watch = self._add(directory, directory.proc_path())
        except OSError:
            self._failed = self._fd < 0
            watch = 0
        if not watch:
            self.drop(below)
            return False
        directory.watch_number, directory.below_number = watch, below
        return True

    def _add(self, directory: HostDirectory, path: str) -> int:
        """The watch of a directory; 0 where it has one already, by another mount of the host. OSError."""
        watch = inotify.add(self._fd, os.fsencode(path), EVENTS)
        other = self._directories.get(watch)
        if other is not None and other() is not None:
            return 0
        self._directories[watch] = weakref.ref(directory)
        return watch

    def _add_below(self, directory: HostDirectory) -> int:
        """The watch of what the host has below a directory of an overlay; 0 for nothing. OSError."""
        tree = directory.tree
        if not tree.parts(directory.key):
            return 0
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        try:
            path = _whole_path(directory) or b"."
            below_fd = mounts.open_beneath(tree.below_fd, path, flags, RESOLVE)
        except (FileNotFoundError, NotADirectoryError):
            return 0
        try:
            return self._add(directory, f"/proc/self/fd/{below_fd}")
        finally:
            os.close(below_fd)

    def drop(self, watch: int) -> None:
        """Ends a watch of a directory that nobody holds any more."""
        if self._directories.pop(watch, None) is not None and self._fd >= 0:
            try:
                inotify.remove(self._fd, watch)
            except OSError:
                pass  # the directory is gone, and its watch with it

    def close(self) -> None:
        """Ends all."""
        self._listeners.clear()
        self._directories.clear()
        if self._fd >= 0:
            if trio.lowlevel.in_trio_run():
                trio.lowlevel.notify_closing(self._fd)
            os.close(self._fd)
            self._fd = -1
        self._failed = True

    async def _read(self, fd: int) -> None:
        """Deals with events as they come."""
        while self._fd == fd:  # it may be closed while this task is about to run
            try:
                await trio.lowlevel.wait_readable(fd)
                self.drain()
            except trio.ClosedResourceError:
                return
            except Exception:  # a task of trio's own: what it raises would end the process
                log.exception("a change of the host was not told")

    def drain(self) -> None:
        """Deals with all events up to now. There is mostly none, and looking is a third of a read's price."""
        while self._fd >= 0 and self._poll.poll(0):
            for event in dict.fromkeys(inotify.read(self._fd)):
                self._deal_with(event)

    def _deal_with(self, event: inotify.Event) -> None:
        if event.mask & inotify.OVERFLOW:
            for directory in [reference() for reference in self._directories.values()]:
                if directory is not None:
                    self._all_changed(directory)
            return
        reference = self._directories.get(event.watch)
        directory = None if reference is None else reference()
        if directory is None:
            return
        if event.mask & inotify.IGNORED:
            del self._directories[event.watch]
            self._all_changed(directory)
            self.drop(directory.watch_number)
            self.drop(directory.below_number)
            directory.not_watched()
            return
        if event.name:
            self._name_changed(directory, event.name)
        # What an overlay shows of a directory that was changed in it says nothing of the one below.
        listed = event.watch == directory.below_number and event.mask & NAMES and directory.kept is not None
        if directory.differs() or listed:
            directory.kept = None
            self._tell(directory, b"", False)

    def _name_changed(self, directory: HostDirectory, name: bytes) -> None:
        child = directory.known_child(name)
        if child is None:
            if directory.absences.pop(name, None) is not None:
                self._tell(directory, name, True)
        elif not directory.still_leads(name, child):
            directory.forget_child(name)
            self._tell(directory, name, True)
        elif child.differs():
            self._tell(directory, name, False)

    def _all_changed(self, directory: HostDirectory) -> None:
        """When events were lost: nothing that was told of the directory holds."""
        for name in [*directory.known_names(), *directory.absences]:
            directory.forget_child(name)
            self._tell(directory, name, True)
        directory.kept = None
        self._tell(directory, b"", False)

    def _tell(self, directory: HostDirectory, name: bytes, gone: bool) -> None:
        for top, changed in self._listeners:
            path = _path(top, directory, name)
            if path is not None:
                changed(path, gone)


def _path(top: HostDirectory, directory: HostDirectory, name: bytes) -> bytes | None:
    """Where a name of a directory stands below `top`; None where it does not."""
    names = [name] if name else []
    here: HostNode | None = directory
    while here is not top:
        if here is None:
            return None
        names.append(here.name)
        here = here.parent
    return b"/".join(reversed(names))


def _whole_path(directory: HostNode) -> bytes:
    """Where a directory stands below the root of its tree."""
    names: list[bytes] = []
    while directory.parent is not None:
        names.append(directory.name)
        directory = directory.parent
    return b"/".join(reversed(names))
