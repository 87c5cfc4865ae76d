"""The nodes of a plan that show several things, or one thing in several places.

What has one number in the plan (`Served.share`) is one node: a file made through one of its places is there
in the other, and the server tells the kernel.
"""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from libos.fs.node import Directory, Node, refusal
from libos.fs.union import Element, Union

if TYPE_CHECKING:
    from libos.plan import Part, Served
    from libos.worlds.layering import Layering

Make = Callable[["Served"], Awaitable[Node]]


class Unions:
    """Makes the nodes of one world. `make` gives the node of one source with its layers; `served` is all that
    the plan serves."""

    def __init__(self, make: Make, layering: Layering, served: Iterable[Served]) -> None:
        self._make = make
        # What stands at a place of its own says more than an element of a union: where changes are kept.
        self._homes = {each.share: each for each in served if each.share is not None}
        self._layering = layering
        self._shared: dict[int, Node] = {}

    async def node(self, served: Served) -> Node:
        """Give the node of one entry of a plan. Raises OSError."""
        if served.elements:
            return Union([await self._element(part, served.at) for part in served.elements])
        if served.share is None:
            return await self._make(served)
        if served.share not in self._shared:
            self._shared[served.share] = await self._make(self._homes.get(served.share, served))
        return self._shared[served.share]

    async def _element(self, part: Part, at: str) -> Element:
        node = await self.node(part.served)
        for name in part.below.encode().split(b"/") if part.below else ():
            node = await _directory(node).walk(name)
        if part.read_only:
            node = read_only(node)
        # With a stack of its own, so that the element can be narrowed and taken out by itself.
        node = await self._layering.lay(node, part.over, at, always=True)
        return Element(_directory(node), part.creatable)


def _directory(node: Node) -> Directory:
    if not isinstance(node, Directory):
        raise refusal(errno.ENOTDIR)
    return node


def read_only(node: Node) -> Node:
    """The node, every change of it EROFS."""
    from libos.fs.layers import layered
    from libos.fs.layers.readonly import ReadOnly

    return layered(node, ReadOnly())
