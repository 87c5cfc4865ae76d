"""The wrapper of a directory: names that lead to wrappers.

Rules:
- The names that layers hide are absent below all layers, so each layer sees the ENOENT. Making one is EACCES.
- What comes in as a node (link, rename) must be a wrapper of the same stack, or it is EXDEV; what goes out is
  wrapped.
- Nothing waits between looking at a name and doing something with it, where the tree itself does not wait.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from libos.fs.layers.nodes import Layered, LayeredHandle
from libos.fs.moving import RENAME_EXCHANGE, rename
from libos.fs.node import Caller, Changed, Directory, Handle, Node, refusal


class LayeredDirectory(Layered, Directory):
    """A directory with layers over it."""

    inner: Directory

    # --- looking

    async def walk(self, name: bytes) -> Node:
        stack = self.stack
        stack.admit(self)
        node = await stack.run(self, "walk", self._seen, name, name=name)
        return stack.wrapper(node, self, name)

    async def _seen(self, name: bytes) -> Node:
        """The inner node of a name that is not hidden."""
        node = await self.inner.walk(name)
        if self.stack.hiding and self.stack.hides(self.below(name), isinstance(node, Directory)):
            raise refusal(errno.ENOENT, name)
        return node

    def at_hand(self) -> Callable[[bytes], Node | None]:
        stack = self.stack
        if stack.revoked or self.absent() or stack.around("walk"):
            return super().at_hand()
        inner = self.inner.at_hand()

        def found(name: bytes) -> Node | None:
            node = inner(name)
            if node is None or stack.hides(self.below(name), isinstance(node, Directory)):
                return None
            return stack.wrapper(node, self, name)

        return found

    def same_names(self) -> object:
        stack = self.stack
        seen = stack.hiding or stack.waiting or stack.around("readdir") or stack.around("walk")
        if stack.revoked or seen:
            return None
        inner = self.inner.same_names()
        return None if inner is None else (stack.version, inner)

    async def readdir(self) -> list[bytes]:
        self.stack.admit(self)
        return await self.stack.run(self, "readdir", self._listing)

    async def _listing(self) -> list[bytes]:
        names = await self.inner.readdir()
        if not self.stack.hiding:
            return names
        return [name for name in names if not await self._hidden(name)]

    async def _hidden(self, name: bytes) -> bool:
        """Whether a name is absent, by its kind where that matters."""
        path = self.below(name)
        hidden = self.stack.hides(path, False)
        if hidden == self.stack.hides(path, True):
            return hidden
        try:
            return self.stack.hides(path, isinstance(await self.inner.walk(name), Directory))
        except OSError:
            return False  # it went away, or cannot be looked at: whoever looks is told so

    # --- making

    def _may_make(self, name: bytes, directory: bool = False) -> None:
        """EACCES for a name that would be absent once it is there."""
        self.stack.admit(self)
        if self.stack.hides(self.below(name), directory):
            raise refusal(errno.EACCES, name)

    async def create(self, name: bytes, mode: int, flags: int, caller: Caller) -> tuple[Node, Handle]:
        self._may_make(name)
        node, handle = await self.stack.run(
            self, "create", self.inner.create, name, mode, flags, caller,
            name=name, flags=flags, caller=caller,
        )  # fmt: skip
        wrapper = self.stack.wrapper(node, self, name)
        return wrapper, LayeredHandle(wrapper, handle, flags)

    async def mkdir(self, name: bytes, mode: int, caller: Caller) -> Node:
        self._may_make(name, True)
        node = await self.stack.run(
            self, "mkdir", self.inner.mkdir, name, mode, caller, name=name, caller=caller
        )
        return self.stack.wrapper(node, self, name)

    async def symlink(self, name: bytes, target: bytes, caller: Caller) -> Node:
        self._may_make(name)
        node = await self.stack.run(
            self, "symlink", self.inner.symlink, name, target, caller, name=name, caller=caller
        )
        return self.stack.wrapper(node, self, name)

    async def mknod(self, name: bytes, mode: int, device: int, caller: Caller) -> Node:
        self._may_make(name)
        node = await self.stack.run(
            self, "mknod", self.inner.mknod, name, mode, device, caller, name=name, caller=caller
        )
        return self.stack.wrapper(node, self, name)

    async def link(self, name: bytes, node: Node) -> None:
        source = self._of_this_stack(node, name)
        self.stack.admit(source)
        self._may_make(name)
        await self.stack.run(
            self, "link", self.inner.link, name, source.inner,
            name=name, to=source.inner, to_path=source.path(),
        )  # fmt: skip

    # --- removing and moving

    async def remove(self, name: bytes, *, directory: bool) -> None:
        self.stack.admit(self)

        async def work() -> None:
            if self.stack.hiding:
                await self._seen(name)
            await self.inner.remove(name, directory=directory)

        flags = 1 if directory else 0
        await self.stack.run(self, "remove", work, name=name, flags=flags)

    async def rename(self, name: bytes, parent: Directory, new_name: bytes, flags: int) -> None:
        target = self._of_this_stack(parent, name)
        assert isinstance(target, LayeredDirectory)
        self.stack.admit(self)
        self.stack.admit(target)
        await self.stack.run(
            self, "rename", self._rename, name, target, new_name, flags,
            name=name, flags=flags, to=target.inner, to_name=new_name, to_path=target.below(new_name),
        )  # fmt: skip

    async def _rename(self, name: bytes, target: LayeredDirectory, new_name: bytes, flags: int) -> None:
        stack = self.stack
        node = await self._seen(name)
        replaced = await target._seen(new_name) if flags & RENAME_EXCHANGE else None
        if stack.hides(target.below(new_name), isinstance(node, Directory)):
            raise refusal(errno.EACCES, new_name)
        if replaced is not None and stack.hides(self.below(name), isinstance(replaced, Directory)):
            raise refusal(errno.EACCES, name)
        await rename(self.inner, name, target.inner, new_name, flags)
        for moved, parent, at in ((node, target, new_name), (replaced, self, name)):
            wrapper = stack.held(moved) if moved is not None else None
            if wrapper is not None:
                wrapper.stand(parent, at)

    def _of_this_stack(self, node: Node, name: bytes) -> Layered:
        """The wrapper that a node is; EXDEV for what is of another tree: rename(2), link(2)."""
        if not isinstance(node, Layered) or node.stack is not self.stack:
            raise refusal(errno.EXDEV, name)
        return node

    # --- the rest

    async def fsync(self, *, data_only: bool) -> None:
        self.stack.admit(self)

        async def work() -> None:
            await self.inner.fsync(data_only=data_only)

        await self.stack.run(self, "fsync", work)

    def watch(self, changed: Changed) -> None:
        self.inner.watch(changed)
