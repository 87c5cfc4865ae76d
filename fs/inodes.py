"""Which number stands for which node, and how often the kernel holds it.

Rules of the protocol (fuse(4), and FUSE_LOOKUP and FUSE_FORGET in linux/fuse.h):
- each successful reply that carries an entry adds one to the inode's lookup count; forget takes away many;
- a number is valid while its count is above 0 (the mount's root always); numbers are never used twice here;
- one node in one world has one number; the same node in two worlds has two, and so has a node with layers and
  without.

Sync on purpose: no checkpoint between the table and the counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from libos.fs.node import Attributes, Cache, Node

# The number of the mount's root directory: FUSE_ROOT_ID in linux/fuse.h.
ROOT = 1

World = TypeVar("World")


class Inode(Generic[World]):
    """A node that the kernel knows by `number`; `parent` and `name` are where it was last found."""

    __slots__ = (
        *("copy", "copying", "listing", "lookups", "made", "name", "names", "node", "number", "parent"),
        *("told", "used", "world"),
    )

    def __init__(self, number: int, node: Node, world: World, parent: Inode[World] | None, name: bytes):
        self.number = number
        self.node = node
        self.world = world
        self.parent = parent
        self.name = name
        self.lookups = 0
        # What its whole listing told last: libos.fs.listing.
        self.listing: tuple[object, list[tuple[bytes, Inode[World], Any]]] | None = None
        # What the kernel's copy of its listing is of, and in which state of the names those began who may be
        # adding to it: libos.fs.kept_listing.
        self.copy: Any = None
        self.copying: dict[object, object] | None = None
        # Attributes, how they may be kept, and both in the protocol library's form: as they were last told.
        self.told: tuple[Attributes | None, Cache, Any] | None = None
        # What is recorded of its uses: libos.fs.recording.
        self.used: Any = None
        # Whether a program of a world made it, or put it where it is.
        self.made = False
        self.names: dict[bytes, Inode[World]] = {}

    def path(self) -> bytes:
        """Where it stands in its world, b"/" for the world's root: what was last known of it."""
        names: list[bytes] = []
        here = self
        while here.parent is not None and here.parent.number != ROOT:
            names.append(here.name)
            here = here.parent
        return b"/" + b"/".join(reversed(names))


class Inodes(Generic[World]):
    """All numbers that the kernel holds now."""

    def __init__(self, root: Node, world: World) -> None:
        self.root: Inode[World] = Inode(ROOT, root, world, None, b"")
        self._by_number: dict[int, Inode[World]] = {ROOT: self.root}
        self._by_original: dict[Node, list[Inode[World]]] = {}
        self._next = ROOT + 1

    def __len__(self) -> int:
        return len(self._by_number)

    def get(self, number: int) -> Inode[World] | None:
        """The inode of a number; None when it is forgotten or its world is closed."""
        return self._by_number.get(number)

    def find(self, node: Node, world: World) -> Inode[World] | None:
        """The inode of a node in a world, if the kernel holds one."""
        for inode in self._by_original.get(node.original, ()):
            if inode.world is world and inode.node is node:
                return inode
        return None

    def enter(self, parent: Inode[World], name: bytes, node: Node, world: World) -> Inode[World]:
        """The inode for a node found at a name, its lookup count one higher."""
        inode = self.find(node, world)
        if inode is None:
            inode = Inode(self._next, node, world, parent, name)
            self._next += 1
            self._by_number[inode.number] = inode
            self._by_original.setdefault(node.original, []).append(inode)
        self.place(inode, parent, name)
        inode.lookups += 1
        return inode

    def place(self, inode: Inode[World], parent: Inode[World], name: bytes) -> None:
        """Notes that an inode now stands at a name."""
        if inode.parent is not parent or inode.name != name:
            self.displace(inode.parent, inode.name, inode)
            inode.parent, inode.name, inode.used = parent, name, None
        parent.names[name] = inode

    def displace(self, parent: Inode[World] | None, name: bytes, inode: Inode[World] | None = None) -> None:
        """Notes that a name leads no longer to what was known there (only if that is `inode`, when given)."""
        if parent is not None and (inode is None or parent.names.get(name) is inode):
            parent.names.pop(name, None)

    def forget(self, number: int, count: int, *, told: bool = True) -> None:
        """Takes `count` lookups away, of which the kernel was told or not. Unknown numbers are ignored: their
        world may have been closed."""
        inode = self._by_number.get(number)
        if inode is None or number == ROOT:
            return
        inode.lookups -= count
        if inode.lookups <= 0:
            if told and inode.parent is not None:
                inode.parent.copy = None  # the name will have another number
            self.drop(inode)

    def drop(self, inode: Inode[World]) -> None:
        """Takes an inode out, whatever its count."""
        del self._by_number[inode.number]
        # A listing holds what it told of, and with it the room that a removed file takes.
        inode.listing = None
        if inode.parent is not None:
            inode.parent.listing = None
        self.displace(inode.parent, inode.name, inode)
        self._leave(inode)

    def replace(self, inode: Inode[World], node: Node) -> None:
        """Makes an inode another node's, under its number."""
        self._leave(inode)
        inode.node = node
        inode.copy = None
        self._by_original.setdefault(node.original, []).append(inode)

    def _leave(self, inode: Inode[World]) -> None:
        original = inode.node.original
        others = self._by_original[original]
        others.remove(inode)
        if not others:
            del self._by_original[original]

    def of_world(self, world: World) -> list[Inode[World]]:
        """All inodes of a world."""
        return [inode for inode in self._by_number.values() if inode.world is world]

    def elsewhere(self, inode: Inode[World]) -> Iterator[Inode[World]]:
        """The same file as other worlds know it, or this one by other layers."""
        others = self._by_original.get(inode.node.original, ())
        if len(others) > 1:
            yield from (other for other in others if other is not inode)

    def at(self, start: Inode[World], path: bytes) -> Inode[World] | None:
        """The inode at a path below `start` as far as the kernel knows it; b"" is `start` itself."""
        here: Inode[World] | None = start
        for name in path.split(b"/") if path else ():
            here = here.names.get(name) if here is not None else None
        return here
