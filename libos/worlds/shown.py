"""What a running world shows at a path, as a node by which Python answers for it.

Rules:
- What is served has its node. A kernel mount is answered for by a tree over the same files: the host's
  directory, or the mount's own descriptor for memory and copies.
- A part of a tree that the app can rearrange and on which something is mounted is refused: moved into that
  part, what a mount covers would show through the node.
"""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from libos.errors import ManifestError
from libos.fs.node import Directory, Node
from libos.fs.union import Element, Union
from libos.namespace import BoundSource, HostSource, Mode, Mount, is_at_or_below
from libos.plan.live import served_alone
from libos.worlds.nodes import mounted_node
from libos.worlds.placements import LiveUnion, Placement
from libos.worlds.sharing import is_same
from libos.worlds.unions import read_only

if TYPE_CHECKING:
    from libos.plan import Served
    from libos.worlds.layering import Layering
    from libos.worlds.world import World

Make = Callable[["Served", ExitStack], Awaitable[Node]]

# Binds of binds that lead to what is bound.
_LINKS = 8


class Shown:
    """That of one world. `placements` and `unions` are its mounts by their places, `make` gives the node of
    what is served."""

    def __init__(
        self,
        world: World,
        layering: Layering,
        placements: dict[str, Placement],
        unions: dict[str, LiveUnion],
        make: Make,
    ) -> None:
        self._world = world
        self._layering = layering
        self._placements = placements
        self._unions = unions
        self._make = make

    async def elements(
        self, mount: Mount, resources: ExitStack
    ) -> tuple[tuple[Element, ...], list[Placement]]:
        """What a mount adds to a union, and the mounts of which that shows something. Raises ManifestError,
        OSError, SupervisorError."""
        creates = may_create(mount)
        if not isinstance(mount.source, BoundSource):
            node = await self._make(served_alone(mount), resources)
            return (Element(directory_at(node, mount.at), creates),), []
        path = mount.source.path
        shown, origins = await self.node_at(path, resources)
        if shown is None:
            raise OSError(errno.ENOENT, f"the world has no {path}")
        found = shown.elements if isinstance(shown, Union) else (Element(directory_at(shown, path), True),)
        if creates and len(found) > 1:
            raise ManifestError(f'"{path}" is a union, and -c takes one directory: bind it without -c')
        for other in (*self._placements, *self._unions):
            if other != path and is_at_or_below(other, path):
                raise ManifestError(f'"{other}" is mounted below "{path}", and a union would not show it')
        elements = []
        for each in found:
            inner: Node = read_only(each.directory) if mount.mode is Mode.READ_ONLY else each.directory
            over = await self._layering.lay(inner, mount.layers, mount.at, always=True)
            elements.append(Element(directory_at(over, path), creates and each.creatable))
        return tuple(elements), origins

    async def node_at(
        self, path: str, resources: ExitStack, links: int = 0
    ) -> tuple[Node | None, list[Placement]]:
        """What the world shows at a path, and the mounts that it is of; None where nothing stands. What it
        holds is closed with `resources`. Raises as `elements` does."""
        top = next(
            (each for each in _upwards(path) if each in self._unions or each in self._placements), None
        )
        if top is None:
            return None, []
        if path != top:
            self._require_steady(top)
        names = path.encode().removeprefix(top.encode()).lstrip(b"/").split(b"/") if path != top else []
        node: Node
        if top in self._unions:
            live = self._unions[top]
            node, origins = live.union, live.members
            if names:
                element = await live.union.element_of(names[0])
                origins = [each for each in origins if element in each.elements]
        else:
            node, origins = (
                await self._node_of(self._placements[top], resources, links),
                [self._placements[top]],
            )
        for name in names:
            if not isinstance(node, Directory):
                return None, []
            try:
                node = await node.walk(name)
            except FileNotFoundError:
                return None, []
        return node, list(origins)

    async def _node_of(self, placement: Placement, resources: ExitStack, links: int = 0) -> Node:
        """The node of a mount, by which Python answers for it."""
        mount, at = placement.mount, placement.mount.at
        if placement.node is not None:
            return placement.node
        if isinstance(mount.source, BoundSource):
            path, found = mount.source.path, None
            if links < _LINKS:
                found, _ = await self.node_at(path, resources, links + 1)
            if found is None:
                raise ManifestError(
                    f'"{at}" was bound from "{path}", which only leads to what is mounted '
                    "below it, or shows something else now: unmount it first"
                )
            return read_only(found) if mount.mode is Mode.READ_ONLY else found
        tree_fd = await self._world.copy_mount(at)
        resources.callback(os.close, tree_fd)
        if isinstance(mount.source, HostSource) and mount.mode is not Mode.COPY_ON_WRITE:
            _require_same(mount.source, tree_fd, at)
            return await self._make(served_alone(mount), resources)
        owner, writable = self._world.identity.owner, mount.mode is not Mode.READ_ONLY
        return await mounted_node(tree_fd, resources, owner, self._world.outside, writable=writable)

    def top(self, at: str) -> Placement | None:
        """The mount in which a place stands."""
        for path in _upwards(posixpath.dirname(at)):
            if path in self._placements:
                return self._placements[path]
            if path in self._unions:
                return self._unions[path].members[0]
        return None

    def _require_steady(self, top: str) -> None:
        """A part of a tree can be an element where no mount stands on it, or the app cannot move that."""
        live = self._unions.get(top)
        mounts = [self._placements[top]] if live is None else live.members
        if not any(may_write(mount) for each in mounts for mount in each.mounts):
            return
        grounded = {at for at, live in self._unions.items() if live.ground is not None}
        for other in sorted({*self._placements, *self._unions} - grounded):
            if other != top and is_at_or_below(other, top):
                raise ManifestError(
                    f'"{other}" is mounted in "{top}", where the app can move it: '
                    f'no part of "{top}" can be an element of a union; take all of it, or unmount that'
                )


def may_write(mount: Mount) -> bool:
    """Whether it can be written to."""
    return mount.mode is not Mode.READ_ONLY


def may_create(mount: Mount) -> bool:
    """Whether files are made in it where it is an element."""
    return mount.creatable and may_write(mount)


def directory_at(node: Node, at: str) -> Directory:
    """The node as what an element is. Raises ManifestError."""
    if not isinstance(node, Directory):
        raise ManifestError(f'a union is of directories, and "{at}" or what joins it is none')
    return node


def _upwards(path: str) -> Iterator[str]:
    while path != "/":
        yield path
        path = posixpath.dirname(path)


def _require_same(source: HostSource, tree_fd: int, at: str) -> None:
    """The host's directory must still be the one that is mounted."""
    if not is_same(source, tree_fd):
        raise ManifestError(
            f'"{source.path}" on the host is no longer what is mounted at "{at}", '
            "so it cannot be an element: unmount it, and mount both anew"
        )
