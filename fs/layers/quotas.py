"""Quota: what a writable tree may hold, in bytes and in files; more is EDQUOT, as in quotactl(2).

Rules:
- Bytes are the sizes that stat(2) shows of regular files: a hole counts as if it were written, and what a
  program may still write does not depend on how the tree stores it.
- Files are all names below the root but further hard links: directories, links and FIFOs too.
- What is there at the start counts. If it is more than the quota it stays, and nothing can be added.
- What is removed is free when its last name is gone and nobody has it open.
- Growth is taken before it happens and given back when it does not: writers at once never have more than
  there is. What others change behind the layer is seen at the next start.
"""

from __future__ import annotations

import errno
import os
import stat
import weakref
from collections import Counter
from typing import Any

import trio

from libos.fs.layers.layer import Call, Layer, Proceed
from libos.fs.layers.readonly import writes
from libos.fs.moving import RENAME_EXCHANGE
from libos.fs.node import Directory, Handle, Node, refusal

MAKING = frozenset({"mkdir", "symlink", "mknod"})


class Quota(Layer):
    """Counts bytes and files of a tree and refuses more than there may be."""

    operations = MAKING | {"create", "write", "setattr", "open", "remove", "rename"}

    def __init__(self, *, size: int | None = None, files: int | None = None) -> None:
        """None: no limit. ValueError for a negative one."""
        if any(limit is not None and limit < 0 for limit in (size, files)):
            raise ValueError("a quota is 0 or more")
        self.most, self.most_files = size, files
        self.used = self.files = 0
        self._locks: weakref.WeakKeyDictionary[Node, trio.Lock] = weakref.WeakKeyDictionary()
        self._handles: dict[Handle, Node] = {}
        self._open: Counter[Node] = Counter()
        # Nodes without a name that are open, and the bytes that each holds.
        self._orphans: dict[Node, int] = {}

    async def begin(self, root: Node) -> None:
        """Counts what is there."""
        self.used = self.files = 0
        seen: set[Node] = set()
        left = [root] if isinstance(root, Directory) else []
        while left:
            directory = left.pop()
            for name in await directory.readdir():
                await trio.lowlevel.checkpoint()  # a large tree holds nobody up
                try:
                    node = await directory.walk(name)
                    found = await node.stat()
                except OSError:
                    continue  # it went away, or nobody can look at it
                if isinstance(node, Directory):
                    left.append(node)
                elif found.links > 1:
                    if node in seen:
                        continue
                    seen.add(node)
                self.files += 1
                self.used += _bytes(node, found.size)

    # --- taking

    def _take(self, size: int, files: int = 0) -> None:
        """Takes bytes and files, or EDQUOT. Less than nothing always can be."""
        if size > 0 and self.most is not None and self.used + size > self.most:
            raise refusal(errno.EDQUOT)
        if files > 0 and self.most_files is not None and self.files + files > self.most_files:
            raise refusal(errno.EDQUOT)
        self.used += size
        self.files += files

    async def around(self, call: Call, proceed: Proceed) -> Any:
        match call.operation:
            case "write":
                return await self._grow(call, proceed)
            case "setattr":
                size = call.change.size if call.change else None
                return await (proceed() if size is None else self._resize(call.node, size, proceed))
            case "open":
                return await self._opened(call, proceed)
            case "remove":
                return await self._replaced(call.node, call.name, proceed)
            case "rename":
                return await self._renamed(call, proceed)
        return await self._make(call, proceed)

    async def _make(self, call: Call, proceed: Proceed) -> Any:
        self._take(0, 1)
        try:
            made = await proceed()
        except BaseException:
            self._take(0, -1)
            raise
        if call.operation == "create":
            self._note(made[1], made[0])
        return made

    # --- sizes

    async def _grow(self, call: Call, proceed: Proceed) -> Any:
        async with self._lock(call.node):
            before = (await call.node.stat()).size
            start = before if call.flags & os.O_APPEND else call.offset
            growth = max(0, start + call.size - before)
            if not growth:
                return await proceed()
            return await self._changed(call.node, before, growth, proceed)

    async def _resize(self, node: Node, size: int, proceed: Proceed) -> Any:
        async with self._lock(node):
            before = (await node.stat()).size
            return await self._changed(node, before, max(0, size - before), proceed)

    async def _changed(self, node: Node, before: int, growth: int, proceed: Proceed) -> Any:
        """Takes the growth, and gives back what of it did not happen."""
        self._take(growth)
        after = before
        try:
            return await proceed()
        finally:
            with trio.CancelScope(shield=True):
                try:
                    after = (await node.stat()).size
                finally:
                    self.used += after - before - growth
                    if node in self._orphans:
                        self._orphans[node] += after - before

    def _lock(self, node: Node) -> trio.Lock:
        return self._locks.setdefault(node, trio.Lock())

    # --- what is open, and what has lost its name

    async def _opened(self, call: Call, proceed: Proceed) -> Any:
        if call.flags & os.O_TRUNC and writes(call.flags):
            handle = await self._resize(call.node, 0, proceed)
        else:
            handle = await proceed()
        self._note(handle, call.node)
        return handle

    def _note(self, handle: Handle, node: Node) -> None:
        self._handles[handle] = node
        self._open[node] += 1

    def closed(self, handle: Handle) -> None:
        node = self._handles.pop(handle, None)
        if node is None:
            return
        self._open[node] -= 1
        if not self._open[node]:
            del self._open[node]
            size = self._orphans.pop(node, None)
            if size is not None:
                self._take(-size, -1)

    async def _renamed(self, call: Call, proceed: Proceed) -> Any:
        assert isinstance(call.to, Directory)
        if call.flags & RENAME_EXCHANGE:
            return await proceed()
        return await self._replaced(call.to, call.to_name, proceed, by=(call.node, call.name))

    async def _replaced(
        self, parent: Node, name: bytes, proceed: Proceed, by: tuple[Node, bytes] | None = None
    ) -> Any:
        """An operation that takes a name away from what has it now."""
        assert isinstance(parent, Directory)
        try:
            node = await parent.walk(name)
            if by is not None and isinstance(by[0], Directory) and await by[0].walk(by[1]) is node:
                return await proceed()  # two names of one file: rename(2) does nothing
        except FileNotFoundError:
            return await proceed()
        size = (await node.stat()).size
        result = await proceed()
        try:
            left = await node.stat()
            gone, size = isinstance(node, Directory) or left.links == 0, left.size
        except OSError:
            gone = True
        if gone and self._open[node]:
            self._orphans[node] = _bytes(node, size)
        elif gone:
            self._take(-_bytes(node, size), -1)
        return result


def _bytes(node: Node, size: int) -> int:
    return size if node.kind == stat.S_IFREG else 0
