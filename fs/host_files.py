"""The regular files and links of a host tree. See libos.fs.host for the rules."""

from __future__ import annotations

import os

import trio

from libos.fs.descriptors import TOTAL, Key
from libos.fs.host_nodes import LEASE_TICK, HostNode
from libos.fs.host_shared import Tree
from libos.fs.node import Caller, File, Handle, Symlink

# The flags of open(2) that reach the host; all others are the kernel's own business, or have no meaning here.
PASSED = os.O_ACCMODE | os.O_APPEND | os.O_TRUNC | os.O_SYNC | os.O_DSYNC


class HostFile(HostNode, File):
    """A regular file."""

    def __init__(self, tree: Tree, key: Key, parent: HostNode | None, name: bytes, kind: int) -> None:
        super().__init__(tree, key, parent, name, kind)
        self.writers: list[HostHandle] = []

    def is_watched(self, found: os.stat_result) -> bool:
        """Not while somebody here writes: what the kernel knows then is newer than any event."""
        return not self.writers and super().is_watched(found)

    def truncate(self, size: int) -> None:
        """By a descriptor open for writing where there is one: its right does not depend on the mode of
        now."""
        if self.writers:
            os.ftruncate(self.writers[-1].fd, size)
        else:
            # Not by path: truncate(2) waits for a lease to be given up, and everybody would with it.
            fd = self.tree.opening.open(self.fd(), os.O_WRONLY | os.O_NONBLOCK)
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
            if flags & os.O_TRUNC:
                self.kept = None
            own = os.O_NONBLOCK | os.O_NOCTTY
            return HostHandle(self, tree.opening.open(self.fd(), flags & PASSED | own), flags)


class HostHandle(Handle):
    """An open file of the host, by a descriptor of its own."""

    def __init__(self, file: HostFile, fd: int, flags: int) -> None:
        self.fd = fd
        self._file = file
        file.tree.open_files += 1
        TOTAL.opened += 1
        if flags & os.O_ACCMODE != os.O_RDONLY:
            file.writers.append(self)
            file.kept = None

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
