"""The wrappers of nodes: what they are, where they stand, and the operations that all kinds have.

Rules:
- A wrapper has the kind of its node and answers by it, through the layers of its stack.
- It is refused to who holds it what a layer made absent meanwhile, and all of it after a revoke.
"""

from __future__ import annotations

import select
from collections.abc import Iterable

from libos.fs.boundary import DEADLINE
from libos.fs.layers.layer import Call
from libos.fs.layers.stack import Stack, through
from libos.fs.node import (
    ALWAYS_READY,
    Attributes,
    Cache,
    Caller,
    Change,
    Directory,
    File,
    Handle,
    Node,
    Symlink,
    Wake,
)


class Layered(Node):
    """A node with layers over it."""

    def __init__(self, stack: Stack, inner: Node, parent: Layered | None, name: bytes) -> None:
        self.stack = stack
        self.inner = inner
        self.kind = inner.kind
        self.parent = parent
        self.name = name
        self._path = b""
        self._moves = -1
        self._version = stack.version
        self._absent = False

    # --- where it stands

    def stand(self, parent: Layered, name: bytes) -> None:
        """Notes where it was found."""
        if self.parent is not parent or self.name != name:
            self.parent, self.name, self._moves = parent, name, -1
            if isinstance(self, Directory):
                self.stack.moves += 1

    def path(self) -> bytes:
        """Its path below the root, b"" for the root."""
        if self._moves != self.stack.moves:
            self._path = self.name if self.parent is None else self.parent.below(self.name)
            self._moves = self.stack.moves
        return self._path

    def below(self, name: bytes) -> bytes:
        """The path of a name in it."""
        path = self.path()
        return path + b"/" + name if path else name

    def absent(self) -> bool:
        """Whether a layer that came while it was held makes it, or a directory above it, absent."""
        if self._version != self.stack.version:
            self._version = self.stack.version
            self._absent = self.parent is not None and (
                self.parent.absent() or self.stack.hides(self.path(), isinstance(self, Directory))
            )
        return self._absent

    # --- what every node has

    @property
    def original(self) -> Node:
        return self.inner.original

    @property
    def cache(self) -> Cache:  # type: ignore[override] # a layer decides it anew each time
        return self.stack.cache(self.inner.cache, self)

    @property
    def deadline(self) -> float | None:  # type: ignore[override] # as above
        own, more = self.inner.deadline, self.stack.patience
        return own if more is None else more + (DEADLINE if own is None else own)

    def known(self) -> Attributes | None:
        stack = self.stack
        if stack.revoked or self.absent():
            return None
        if stack.waiting and stack.waits(self.path(), isinstance(self, Directory)):
            return None
        return self.inner.known()

    async def stat(self) -> Attributes:
        self.stack.admit(self)
        return await self.stack.run(self, "stat", self.inner.stat)

    async def setattr(self, change: Change) -> Attributes:
        self.stack.admit(self)
        return await self.stack.run(self, "setattr", self.inner.setattr, change, change=change)

    async def getxattr(self, name: bytes) -> bytes:
        self.stack.admit(self)
        return await self.stack.run(self, "getxattr", self.inner.getxattr, name)

    async def listxattr(self) -> Iterable[bytes]:
        self.stack.admit(self)
        return await self.stack.run(self, "listxattr", self.inner.listxattr)

    async def setxattr(self, name: bytes, value: bytes) -> None:
        self.stack.admit(self)
        await self.stack.run(self, "setxattr", self.inner.setxattr, name, value, size=len(value))

    async def removexattr(self, name: bytes) -> None:
        self.stack.admit(self)
        await self.stack.run(self, "removexattr", self.inner.removexattr, name)


class LayeredFile(Layered, File):
    """A regular file with layers over it."""

    inner: File

    async def open(self, flags: int, caller: Caller) -> Handle:
        self.stack.admit(self)
        inner = await self.stack.run(self, "open", self.inner.open, flags, caller, flags=flags, caller=caller)
        return LayeredHandle(self, inner, flags)


class LayeredLink(Layered, Symlink):
    """A symbolic link with layers over it."""

    inner: Symlink

    async def readlink(self) -> bytes:
        self.stack.admit(self)
        return await self.stack.run(self, "readlink", self.inner.readlink)


class LayeredHandle(Handle):
    """An open file with layers over it."""

    def __init__(self, node: Layered, inner: Handle, flags: int) -> None:
        self.node = node
        self.inner = inner
        self.flags = flags
        self.direct = inner.direct or node.stack.direct(flags)
        self.seekable = inner.seekable

    def poll(self, wake: Wake | None) -> int:
        """As the inner handle; after a revoke an error at once, of which who waits is told."""
        stack = self.node.stack
        if stack.revoked or self.node.absent():
            return ALWAYS_READY | select.POLLERR
        if wake is not None:
            stack.wakes[self] = wake
        return self.inner.poll(wake)

    async def read(self, offset: int, size: int) -> bytes:
        stack, inner = self.node.stack, self.inner
        stack.admit(self.node)
        return await stack.run(
            self.node, "read", inner.read, offset, size,
            flags=self.flags, offset=offset, size=size, handle=inner,
        )  # fmt: skip

    async def write(self, offset: int, data: bytes) -> int:
        node, inner = self.node, self.inner
        node.stack.admit(node)
        chain = node.stack.around("write")
        if not chain:
            return await inner.write(offset, data)
        call = Call(
            "write", node.path(), node.inner,
            flags=self.flags, offset=offset, size=len(data), data=data, handle=inner,
        )  # fmt: skip

        async def work() -> int:
            return await inner.write(call.offset, call.data)  # layers may have changed both

        return int(await through(chain, call, work))

    async def fsync(self, *, data_only: bool) -> None:
        stack, inner = self.node.stack, self.inner
        stack.admit(self.node)

        async def work() -> None:
            await inner.fsync(data_only=data_only)

        await stack.run(self.node, "fsync", work, flags=self.flags, handle=inner)

    async def close(self) -> None:
        """Passes whatever happened: what the inner handle holds must go."""
        try:
            await self.inner.close()
        finally:
            self.node.stack.wakes.pop(self, None)
            self.node.stack.closed(self.inner)


def wrapper_class(node: Node) -> type[Layered]:
    """The wrapper for a node's kind."""
    from libos.fs.layers.directories import LayeredDirectory

    if isinstance(node, Directory):
        return LayeredDirectory
    if isinstance(node, File):
        return LayeredFile
    return LayeredLink if isinstance(node, Symlink) else Layered
