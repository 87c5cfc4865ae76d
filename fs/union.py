"""A union directory, as Plan 9 has it: elements in order, seen through one directory.

Rules, of bind(2) and of cmount, walk and createdir in Plan 9's port/chan.c:
- A name is looked up in the elements in order; the first that has it wins. What is below is that element's
  alone: directories of one name in two elements do not merge. An element that cannot be asked is passed by.
- What is made goes to the first element that is marked creatable, whatever its place; where that refuses, it
  is refused. EROFS where there is none. A name that any element has is opened where it is.
- What is removed or renamed is so in the element where the name was found. Between elements it is EXDEV.
- A listing has the names of all elements, in order, each once (with `raw` as often as elements have it);
  an element that cannot be listed is passed by.
- The union shows the attributes of the element where it creates, else of the first one. So the kernel's
  check of permissions is about that one; for a change in another element it is made here.

Elements may be added and removed while the union is served. What is open of an element stays open.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from libos.fs.moving import RENAME_NOREPLACE
from libos.fs.node import (
    APP,
    Attributes,
    Caller,
    Change,
    Changed,
    Directory,
    File,
    Handle,
    Node,
    refusal,
)

Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class Element:
    """One directory of a union, and whether what is new may be made in it. Compared by identity: one
    directory may be in a union twice."""

    directory: Directory
    creatable: bool = False


class Union(Directory):
    """The union of some directories. Its own names are never cached: an earlier element may get one at any
    moment."""

    def __init__(self, elements: Iterable[Element] = (), *, raw: bool = False) -> None:
        self._elements = list(elements)
        self._raw = raw
        self._listeners: list[Changed] = []

    # --- elements

    @property
    def elements(self) -> tuple[Element, ...]:
        """The elements now, in order."""
        return tuple(self._elements)

    def add(self, element: Element, *, first: bool) -> None:
        """Adds an element, before all others or after them: bind(1), -b and -a."""
        self._elements.insert(0 if first else len(self._elements), element)
        for changed in self._listeners:
            self._listen(element, changed)
            changed(b"", False)

    def remove_element(self, element: Element) -> None:
        """Takes an element out; ValueError where it is none. Its names lead to other elements from now on, or
        nowhere; what is open of it stays open."""
        self._elements.remove(element)
        for changed in self._listeners:
            changed(b"", False)

    def watch(self, changed: Changed) -> None:
        self._listeners.append(changed)
        for element in self._elements:
            self._listen(element, changed)

    def _listen(self, element: Element, changed: Changed) -> None:
        def pass_on(path: bytes, gone: bool) -> None:
            if element in self._elements:
                changed(path, gone)

        element.directory.watch(pass_on)

    # --- the directory itself

    def _shown(self) -> Directory | None:
        """The element whose attributes the union shows."""
        chosen = self._creating() or next(iter(self._elements), None)
        return None if chosen is None else chosen.directory

    def _creating(self) -> Element | None:
        return next((element for element in self._elements if element.creatable), None)

    def known(self) -> Attributes | None:
        shown = self._shown()
        return Attributes(stat.S_IFDIR | 0o555, 0, 2, *APP) if shown is None else shown.known()

    async def stat(self) -> Attributes:
        shown = self._shown()
        return await super().stat() if shown is None else await shown.stat()

    async def setattr(self, change: Change) -> Attributes:
        return await self._own().setattr(change)

    async def getxattr(self, name: bytes) -> bytes:
        return await self._own().getxattr(name)

    async def listxattr(self) -> Iterable[bytes]:
        return await self._own().listxattr()

    async def setxattr(self, name: bytes, value: bytes) -> None:
        await self._own().setxattr(name, value)

    async def removexattr(self, name: bytes) -> None:
        await self._own().removexattr(name)

    async def fsync(self, *, data_only: bool) -> None:
        for element in self.elements:
            await element.directory.fsync(data_only=data_only)

    def _own(self) -> Directory:
        shown = self._shown()
        if shown is None:
            raise refusal(errno.EROFS)
        return shown

    # --- looking

    async def walk(self, name: bytes) -> Node:
        return (await self._find(name))[1]

    async def _find(self, name: bytes) -> tuple[Element, Node]:
        """The element that has a name, and what it leads to. ENOENT, or the first other error where no
        element has it."""
        failure: OSError | None = None
        for element in self.elements:
            try:
                return element, await element.directory.walk(name)
            except OSError as error:
                if error.errno != errno.ENOENT:
                    failure = failure or error
        raise failure or refusal(errno.ENOENT, name)

    async def element_of(self, name: bytes) -> Element | None:
        """The element in which a name leads; None where none has it."""
        found = await self._has(name)
        return None if found is None else found[0]

    async def _has(self, name: bytes) -> tuple[Element, Node] | None:
        try:
            return await self._find(name)
        except FileNotFoundError:
            return None

    async def readdir(self) -> list[bytes]:
        names: list[bytes] = []
        for element in self.elements:
            try:
                names += await element.directory.readdir()
            except OSError:
                continue
        return names if self._raw else list(dict.fromkeys(names))

    # --- making

    async def create(self, name: bytes, mode: int, flags: int, caller: Caller) -> tuple[Node, Handle]:
        found = await self._has(name)
        if found is None:
            return await self._target(name).create(name, mode, flags, caller)
        node = found[1]
        if flags & os.O_EXCL or not isinstance(node, File):
            raise refusal(errno.EEXIST, name)
        return node, await node.open(flags, caller)

    async def mkdir(self, name: bytes, mode: int, caller: Caller) -> Node:
        return await self._make(name, lambda into: into.mkdir(name, mode, caller))

    async def symlink(self, name: bytes, target: bytes, caller: Caller) -> Node:
        return await self._make(name, lambda into: into.symlink(name, target, caller))

    async def mknod(self, name: bytes, mode: int, device: int, caller: Caller) -> Node:
        return await self._make(name, lambda into: into.mknod(name, mode, device, caller))

    async def _make(self, name: bytes, make: Callable[[Directory], Awaitable[Made]]) -> Made:
        if await self._has(name) is not None:
            raise refusal(errno.EEXIST, name)
        return await make(self._target(name))

    def _target(self, name: bytes) -> Directory:
        """Where a new name is made; EROFS where nothing may be."""
        creating = self._creating()
        if creating is None:
            raise refusal(errno.EROFS, name)
        return creating.directory

    async def link(self, name: bytes, node: Node) -> None:
        if await self._has(name) is not None:
            raise refusal(errno.EEXIST, name)
        if self._creating() is None:
            raise refusal(errno.EROFS, name)
        for into in self._creatable():
            try:
                return await into.link(name, node)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
        raise refusal(errno.EXDEV, name)

    def _creatable(self) -> list[Directory]:
        return [element.directory for element in self._elements if element.creatable]

    # --- removing and moving

    async def remove(self, name: bytes, *, directory: bool) -> None:
        element, _ = await self._find(name)
        await self._check_writable(element)
        await element.directory.remove(name, directory=directory)

    async def rename(self, name: bytes, parent: Directory, new_name: bytes, flags: int) -> None:
        element, _ = await self._find(name)
        await self._check_writable(element)
        if parent is self:
            there = await self._has(new_name)
            if there is not None and flags & RENAME_NOREPLACE:
                raise refusal(errno.EEXIST, new_name)
            if there is not None and there[0] is not element:
                raise refusal(errno.EXDEV, new_name)
            parent = element.directory
        await element.directory.rename(name, parent, new_name, flags)

    async def stand_ins(self, name: bytes) -> Sequence[Directory]:
        found = await self._has(name)
        nearest = self._creatable() if found is None else [found[0].directory]
        return [inner for each in nearest for inner in await each.stand_ins(name)]

    async def _check_writable(self, element: Element) -> None:
        """EACCES where the app may not change the names of an element: the kernel has looked only at the one
        that the union shows."""
        directory = element.directory
        if directory is self._shown():
            return
        found = await directory.stat()
        bit = stat.S_IWUSR if found.uid == APP[0] else stat.S_IWGRP if found.gid == APP[1] else stat.S_IWOTH
        if not found.mode & bit:
            raise refusal(errno.EACCES)
