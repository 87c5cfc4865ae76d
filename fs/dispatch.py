"""From a request's numbers to nodes: what all operations of the server share, without a word of pyfuse3.

- Every operation runs inside the boundary, its checks too.
- A reply that carries an entry counts as one lookup; a reply that could not be built is taken back.
- read, write, fsync and readdir come without a caller: whoever opened stands for them.
- A node that several worlds share is kept coherent: after a change through one, the others' kernel caches
  are told.
"""

from __future__ import annotations

import errno
import functools
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from libos.fs.boundary import Boundary
from libos.fs.inodes import ROOT, Inode, Inodes
from libos.fs.node import APP, NAME_MAX, Attributes, Caller, Directory, Handle, Node, refusal
from libos.fs.worlds import Attachment, MountRoot, Notifier, OnFault, Open, Opens

AnyInode = Inode[Attachment | None]
Method = Callable[..., Awaitable[Any]]


def on_inode(method: Method) -> Any:
    """A request about an inode: its number first, the caller's context last."""
    operation = method.__name__.lstrip("_")

    @functools.wraps(method)
    def run(self: Dispatch, number: int, *rest: Any) -> Awaitable[Any]:
        inode = self.inodes.get(number)
        if inode is None:
            raise self.refuse(errno.ESTALE)
        return self.boundary.answer(operation, inode, rest[-1].pid, True, method, self, inode, *rest)

    return run


def on_open(method: Method) -> Any:
    """A request about something open: its number first."""
    operation = method.__name__

    @functools.wraps(method)
    def run(self: Dispatch, number: int, *rest: Any) -> Awaitable[Any]:
        opened = self.opens.get(number)
        if opened is None:
            raise self.refuse(errno.ESTALE)
        return self.boundary.answer(
            operation, opened.inode, opened.thread, False, method, self, opened, *rest
        )

    return run


class Dispatch(ABC):
    """The tables of a server, and how an operation goes through them."""

    # The protocol library's exception for an errno.
    refuse: Callable[[int], Exception]

    def __init__(self, on_fault: OnFault, notifier: Notifier) -> None:
        super().__init__()
        self.root = MountRoot()
        self.inodes: Inodes[Attachment | None] = Inodes(self.root, None)
        self.opens = Opens()
        self.boundary = Boundary(on_fault, self.refuse)
        self.notifier = notifier
        self.ready = trio.Event()

    @abstractmethod
    def entry(self, inode: AnyInode, attributes: Attributes | None) -> Any:
        """The protocol library's form of attributes; None for those that are not known yet."""

    @abstractmethod
    def nothing(self, seconds: float) -> Any:
        """The entry of a name that leads to nothing, which the kernel may believe for so long."""

    def enter(self, parent: AnyInode, name: bytes, node: object) -> Any:
        """The entry for a node found or made at a name; the kernel holds it once more."""
        child = parent.names.get(name)
        if child is not None and child.node is node and child.told is not None:
            attributes, cache, entry = child.told
            if attributes is child.node.known() and cache is child.node.cache:
                child.lookups += 1
                entry.entry_timeout = 0 if cache.parting else parent.node.cache.entry
                return entry
        if not isinstance(node, Node):
            raise TypeError(f"not a node at {name!r}: {type(node).__name__}")
        world = parent.world if parent.number != ROOT else self.root.attachments[name]
        inode = self.inodes.enter(parent, name, node, world)
        try:
            entry = self.entry(inode, node.known())
            entry.entry_timeout = 0 if inode.node.cache.parting else parent.node.cache.entry
        except BaseException:
            self.inodes.forget(inode.number, 1, told=False)
            raise
        return entry

    def other(self, number: int) -> AnyInode:
        """The second inode of a request."""
        inode = self.inodes.get(number)
        if inode is None:
            raise refusal(errno.ESTALE)
        return inode

    def used(self, inode: AnyInode, operation: int) -> None:
        """Notes a use of an inode, where its world's are recorded."""
        world = inode.world
        if world is not None and world.uses is not None:
            world.uses.note(inode, world.at, operation)

    def looked_at(self, inode: AnyInode) -> bool:
        """Whether the kernel may answer for an inode by itself: nothing is recorded of it, or the look at it
        was."""
        world = inode.world
        return world is None or world.uses is None or world.uses.is_known(inode)

    def used_name(self, parent: AnyInode, name: bytes, operation: int) -> None:
        """The same of a name that leads to no inode."""
        world = parent.world
        if world is not None and world.uses is not None:
            world.uses.note_name(parent, world.at, name, operation)

    def tell_others(self, inode: AnyInode, *gone: bytes) -> None:
        """After a change through one world: the other worlds that show the same node ask again. `gone`:
        names in it that lead elsewhere now."""
        for twin in self.inodes.elsewhere(inode):
            for name in gone:
                self.notifier.notify_entry(twin.number, name)
            self.notifier.notify_inode(twin.number)


def directory_of(inode: AnyInode, name: bytes = b"") -> Directory:
    """The directory of an inode, for a name that may stand in one."""
    if not isinstance(inode.node, Directory):
        raise refusal(errno.ENOTDIR)
    if len(name) > NAME_MAX:
        raise refusal(errno.ENAMETOOLONG, name)
    return inode.node


def handle_of(opened: Open) -> Handle:
    """The handle of something open that is no directory."""
    if opened.handle is None:
        raise refusal(errno.EISDIR)
    return opened.handle


def owner_at(inode: AnyInode) -> tuple[int, int]:
    """Who the app of an inode's world is in the mount's numbering; nodes say APP."""
    return APP if inode.world is None else inode.world.owner


def caller_of(ctx: Any, inode: AnyInode) -> Caller:
    """Who asks, in the world's numbering."""
    uid, gid = owner_at(inode)
    return Caller(ctx.pid, APP[0] if ctx.uid == uid else ctx.uid, APP[1] if ctx.gid == gid else ctx.gid)
