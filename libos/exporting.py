"""A tree served to other processes by 9P, from a process of its own: what `libos exportfs` does.

The tree is a folder of this host, which leads nowhere out of itself, or an empty one in memory. As root, what
a client asks is done as the folder's owner.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import trio

from libos.errors import HostError
from libos.fs import layers
from libos.fs.node import Directory
from libos.fs.p9.exporting import export


@dataclass(frozen=True)
class Exported:
    """What is served: `folder`, or without one memory of `size` bytes; without what `hide` matches, and with
    `only` without all else: patterns of gitignore(5)."""

    folder: str | None
    size: int = 0
    writable: bool = False
    hide: Sequence[str] = ()
    only: Sequence[str] = ()

    @contextmanager
    def tree(self) -> Iterator[Directory]:
        """The tree, for as long as the block lasts. HostError where it cannot be served."""
        from libos.fs.host import HostTree
        from libos.fs.memory import memory_tree

        try:
            tree = memory_tree(limit_bytes=self.size) if self.folder is None else self._of_host(self.folder)
            node = layers.only(tree, self.only) if self.only else tree
            node = layers.hide(node, self.hide) if self.hide else node
        except (OSError, ValueError) as error:
            raise HostError(f"{self.folder or 'memory'} cannot be served: {error}") from error
        assert isinstance(node, Directory)
        try:
            yield node
        finally:
            if isinstance(tree, HostTree):
                tree.close()

    def _of_host(self, folder: str) -> Directory:
        from libos.fs.host import HostTree

        fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found = os.fstat(fd)
            owner = (os.geteuid(), os.getegid()) if os.geteuid() else (found.st_uid, found.st_gid)
            return HostTree(fd, writable=self.writable, owner=owner)
        finally:
            os.close(fd)


async def serve_until_told(
    exported: Exported, listener: socket.socket, ready: Callable[[], None], on_error: Callable[[str], None]
) -> None:
    """Serve at a socket that listens, until SIGINT or SIGTERM. `ready` is called once it serves, `on_error`
    with what a client did wrong. HostError where the tree cannot be served."""
    with exported.tree() as root, trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        stack = layers.stack_of(root)
        if stack is not None:
            await stack.begin()
        async with trio.open_nursery() as nursery:

            async def serve() -> None:
                await export(root, listener, writable=exported.writable, on_error=on_error)

            nursery.start_soon(serve)
            ready()
            async for _ in signals:
                break
            nursery.cancel_scope.cancel()
