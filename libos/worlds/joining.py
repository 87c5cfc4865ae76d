"""Unions that mounts join and leave while they are served.

Rules:
- What joins is an element with a stack of its own, so that it alone is narrowed or taken back: what is open
  of it answers EIO, the other elements do not notice.
- What stood there is the first element, and nothing is made in it that could not be made there before. The
  union is mounted over it, so whoever has something open of it keeps that. What an element answers by:
  `libos.worlds.shown`.
- A union stays while it has a member. Then its mount goes, and what it covered shows again or goes with it;
  it is served on until its world ends, since a program that runs from it must not lose its pages.
- What is mounted below a place would be covered by a union over it: that is refused.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack
from copy import copy
from typing import TYPE_CHECKING

from libos.errors import ManifestError
from libos.fs.layers import stack_of
from libos.fs.node import Node
from libos.fs.union import Element, Union
from libos.namespace import BoundSource, Mount, Order, is_at_or_below
from libos.worlds.placements import Ground, LiveUnion, Placement
from libos.worlds.shown import Make, Shown, directory_at, may_create, may_write

if TYPE_CHECKING:
    from libos.fs.layers import Stack
    from libos.worlds.keeping import Keeper
    from libos.worlds.view import View
    from libos.worlds.world import World

# Places of a world that were ever unions: what one holds stays until the world ends.
_MOST = 256


class LiveUnions:
    """The unions of one world that were made or changed while it runs, by their places. `placements` are all
    other mounts; `make` gives the node of what is served. Not for two changes at once."""

    def __init__(
        self, world: World, view: View, keeper: Keeper, placements: dict[str, Placement], make: Make
    ) -> None:
        self._world = world
        self._view = view
        self._keeper = keeper
        self._placements = placements
        self._resting: dict[str, LiveUnion] = {}
        self.unions: dict[str, LiveUnion] = {}
        self._shown = Shown(world, view.layering, placements, self.unions, make)

    def joined(self) -> Iterator[Placement]:
        """The members that joined later than what stands in the plan or was mounted first."""
        for at, live in self.unions.items():
            yield from (each for each in live.members if self._placements.get(at) is not each)

    # --- joining

    async def join(self, mount: Mount) -> tuple[Placement, list[Placement]] | None:
        """Make a mount an element of the union at its place; give it, and the mounts of which it shows
        something. None where nothing stands that it could join. Raises ManifestError, OSError,
        SupervisorError."""
        at = mount.at
        with ExitStack() as undo:
            ground = await self._ground(mount, undo.enter_context(ExitStack()))
            if ground is None and not isinstance(mount.source, BoundSource):
                return None
            resources = undo.enter_context(ExitStack())
            elements, origins = await self._shown.elements(mount, resources)
            live = self.unions.get(at) or await self._put(at, ground or Ground(), undo)
            undo.pop_all()
        self.unions[at] = live
        for element in reversed(elements) if mount.order is Order.BEFORE else elements:
            live.union.add(element, first=mount.order is Order.BEFORE)
        member = Placement(mount, "served", in_skeleton=live.ground is None and self._shown.top(at) is None)
        self._enter(live, member, elements, resources)
        return member, origins

    def _enter(
        self, live: LiveUnion, member: Placement, elements: tuple[Element, ...], resources: ExitStack
    ) -> None:
        member.union, member.elements, member.element_resources = live, elements, resources
        directories = [element.directory for element in elements]
        member.node = directories[0] if len(directories) == 1 else Union(elements)
        self._view.until_closed(resources)
        live.members.append(member)

    def adopt(self, placement: Placement) -> LiveUnion:
        """Make a union of the plan one that changes."""
        assert isinstance(placement.node, Union)
        live = self.unions[placement.mount.at] = LiveUnion(placement.node, None)
        live.covered = live.base = placement
        placement.union, placement.elements = live, placement.node.elements
        live.members.append(placement)
        return live

    async def _ground(self, mount: Mount, resources: ExitStack) -> Ground | None:
        """What stands at a place, as an element; None where nothing does."""
        at = mount.at
        standing = self._placements.get(at)
        if mount.order is Order.REPLACE:
            if standing is not None or at in self.unions:
                raise OSError(errno.EBUSY, f"{at} is mounted already: unmount it first")
            return None
        if at in self.unions:
            return Ground()
        if standing is not None and isinstance(standing.node, Union):
            self.adopt(standing)
            return Ground()
        self._require_bare(at)
        top = standing or self._shown.top(at)
        rested = self._resting[at].ground if at in self._resting else None
        if rested is not None and top is not None and rested.top is top and not may_write(top.mount):
            return rested
        node, _ = await self._shown.node_at(at, resources)
        if node is None or top is None:
            return None
        directory = directory_at(await self._view.layering.lay(node, (), at, always=True), at)
        creates = standing is not None and may_create(standing.mount)
        return Ground(Element(directory, creates), top, resources, itself=top is standing)

    async def _put(self, at: str, ground: Ground, undo: ExitStack) -> LiveUnion:
        """Mount a union over what stands at a place."""
        live = self._resting.pop(at, None)
        if live is None:
            if len(self._resting) + len(self.unions) >= _MOST:
                raise OSError(errno.ENOSPC, "too many unions in this world")
            live = LiveUnion(Union(), self._view.new_slot())
            self._view.attach_slot(live.slot or "", live.union, None, at)
        undo.callback(self._rest, at, live)
        if ground.element is not None:
            live.union.add(ground.element, first=False)
        step: dict[str, object] = {"at": at, "make_point": False}
        standing = ground.top if ground.itself else None
        if standing is not None and (standing.slot is not None or not standing.served):
            step["over"] = at  # init knows it, wherever the app has moved it
        elif self._shown.top(at) is None:
            self._view.point(at, True, undo)
        tree_fd = await self._keeper.served_tree(live.slot or "")
        try:
            await self._world.mount(live.slot or "", step, tree_fd)
        finally:
            os.close(tree_fd)
        self._stand_on(live, ground)
        return live

    def _stand_on(self, live: LiveUnion, ground: Ground) -> None:
        """Note that the union is there: what stood there is its member, or it is a part of a mount above."""
        if ground.element is None or ground.top is None:
            return
        if ground.itself:
            live.covered, live.base = copy(ground.top), ground.top
            ground.top.was_mounted = not ground.top.served
            ground.top.mechanism = "served"
            self._enter(live, ground.top, (ground.element,), ground.resources)
        elif live.ground is not ground:
            if (old := live.ground) is not None and old.element is not None:
                self._forget_ground(old)
            live.ground = ground
            ground.top.shown_by.append(ground.element.directory)
            self._view.until_closed(ground.resources)

    def _forget_ground(self, ground: Ground) -> None:
        if ground.element is not None and ground.top is not None:
            self.revoke(ground.element.directory)
            ground.top.shown_by.remove(ground.element.directory)
            ground.resources.close()

    def narrowed(self, top: Placement) -> None:
        """Take back what is open of a mount through unions that are gone: it does not follow a narrowing."""
        for live in self._resting.values():
            if live.ground is not None and live.ground.top is top:
                self._forget_ground(live.ground)
                live.ground = None

    def _rest(self, at: str, live: LiveUnion) -> None:
        for element in live.union.elements:
            live.union.remove_element(element)
        live.covered = live.base = None
        self._resting[at] = live

    def _require_bare(self, at: str) -> None:
        for other in sorted((*self._placements, *self.unions)):
            if other != at and is_at_or_below(other, at):
                raise ManifestError(
                    f'a union at "{at}" would cover "{other}", which is mounted below it: '
                    "unmount that, and mount it again when the union is there"
                )

    # --- leaving

    async def leave(self, member: Placement) -> Placement | None:
        """Take a member out: what is open of it answers EIO. Gives what stood there before the union, where
        that was the last one. Raises OSError, SupervisorError."""
        live, at = member.union, member.mount.at
        assert live is not None
        if member is live.base:
            self.revoke_earlier(live)
        for element in member.elements:
            if element in live.union.elements:
                live.union.remove_element(element)
            self.revoke(element.directory)
        if live.members == [member] and live.slot is not None:
            await self._world.unmount(live.slot)
        live.members.remove(member)
        member.element_resources.close()
        if live.members:
            return None
        del self.unions[at]
        covered = live.covered
        if live.slot is not None:
            self._rest(at, live)
        return covered

    def revoke_earlier(self, live: LiveUnion) -> None:
        """Make what is open of a served mount from before it became an element answer EIO."""
        covered = live.covered
        if covered is not None and covered.served and live.slot is not None:
            self._view.revoke_covered(covered.mount.at, covered.slot)

    def revoke(self, directory: Node) -> None:
        """Make all of an element answer EIO."""
        stack = stack_of(directory)
        assert stack is not None  # every element has one
        stack.revoke()
        self._view.forget(stack.holds, self.places())
        self._view.interrupt(stack.holds, errno.EIO)

    def known_as(self, name: str) -> list[Placement]:
        """The mounts that init knows by a name."""
        if name in self._placements:
            return [self._placements[name]]
        return next((live.members for live in self.unions.values() if live.slot == name), [])

    def places(self) -> set[str]:
        """Where something is mounted."""
        return {*self._placements, *self.unions}


def stacks(placement: Placement) -> list[Stack]:
    """The stacks by which a mount is narrowed; none where it cannot be in place."""
    union = placement.union
    nodes: list[Node | None] = [element.directory for element in placement.elements] or [placement.node]
    if union is not None and union.base is placement and union.covered is not None:
        before = union.covered.node
        if before is not None and stack_of(before) is not None:
            nodes = [before]  # its layers are the element's too
    found = [stack_of(node) for node in nodes if node is not None]
    return [stack for stack in found if stack is not None]
