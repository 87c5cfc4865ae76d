"""The namespace of a running world, and how it changes: mount, unmount, revoke, restrict.

Rules:
- One change of a world at a time, none cancelled in the middle.
- How one mount is made and taken out: `libos.worlds.placing`; how it becomes less: `libos.worlds.narrowing`.
- What joins a union is an element of it: `libos.worlds.joining`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from libos.errors import ManifestError, SupervisorError
from libos.fs.layers import stack_of
from libos.namespace import (
    BoundSource,
    HostSource,
    Labelled,
    Mode,
    Mount,
    Namespace,
    Order,
    is_at_or_below,
)
from libos.plan import Plan
from libos.plan.labelling import OUTWARD, label_of
from libos.plan.policy import require_policy
from libos.worlds.joining import LiveUnions
from libos.worlds.narrowing import Narrowing, Note
from libos.worlds.placements import Placement, in_turn, placements_of
from libos.worlds.placing import Placing
from libos.worlds.sharing import way_to_share
from libos.worlds.spawn import check_built

if TYPE_CHECKING:
    from libos.net.naming.names import Names
    from libos.worlds.hostmounts import HostMounts
    from libos.worlds.keeping import Keeper
    from libos.worlds.persisting import Persisting
    from libos.worlds.view import View
    from libos.worlds.world import World


class LiveView:
    """What is mounted in one world, by its place."""

    def __init__(
        self,
        world: World,
        view: View,
        keeper: Keeper,
        mounts: HostMounts,
        names: Names,
        plan: Plan,
        kept: Persisting,
    ) -> None:
        self._world = world
        self._mounts = mounts
        self._view = view
        self._turn = trio.Lock()
        # Its root has sub-ids, and no file of theirs is to lie on the host's disk: libos.plan.rootids.
        self.stores_nothing = False
        self.labelling = plan.labelling
        self.within = plan.within
        self._plan = plan
        self.placements: dict[str, Placement] = {each.mount.at: each for each in placements_of(plan, view)}
        self._placing = Placing(
            world,
            view,
            keeper,
            mounts,
            names,
            kept,
            self.placements,
            self.namespace,
            serve_all=plan.serve_all,
        )
        self._unions = LiveUnions(world, view, keeper, self.placements, self._placing.node)
        self._narrowing = Narrowing(world, view, self._unions, self._placing, self.placements)

    def namespace(self) -> Namespace:
        """What is mounted now, in the order in which it was."""
        return Namespace(tuple(in_turn((*self.placements.values(), *self._unions.joined()))))

    @asynccontextmanager
    async def _change(self) -> AsyncIterator[None]:
        """One change, which is not cancelled in the middle: what init was asked for, it does. After the block
        the kernel has heard of it."""
        async with self._turn:
            with trio.CancelScope(shield=True):
                yield
                await self._view.settle()

    def _refuse_to_store(self, written: bool) -> None:
        if self.stores_nothing and written:
            raise OSError(
                errno.EPERM,
                "its root has sub-ids, whose files nobody outside could remove: mount it read-only, or start "
                "the app with a read-write mount, and it has uid 0 alone",
            )

    def _labelled(self, mount: Mount) -> Mount:
        """A mount with what its label lets the app do. Raises ManifestError for an unknown label, and for a
        service of another one, or for a type where there are no domains."""
        require_policy(self._plan, mount)
        if self.labelling is None:
            if label_of(mount) is not None:
                raise ManifestError(f'"{mount.at}" has a label, and this world was started without any')
            return mount
        try:
            if isinstance(mount.source, OUTWARD):
                self.labelling.require(mount.at, label_of(mount))
            return self.labelling.mount(mount)
        except ValueError as wrong:
            raise ManifestError(str(wrong)) from None

    def label_of_shared(self, other: LiveView, shared: Placement) -> tuple[Labelled, ...]:
        """The label that a node has which is mounted in another world already. Raises OSError (EPERM) where
        the two worlds do not run at one level of the same labels."""
        labelling = self.labelling
        if labelling != other.labelling:
            raise OSError(errno.EPERM, "the two worlds do not run at one level of the same labels")
        label = label_of(shared.mount)
        if labelling is None or (label is None and shared.mount.mode is Mode.READ_ONLY):
            return ()
        return (Labelled(str(labelling.level) if label is None else label),)

    async def mount(self, mount: Mount) -> Placement:
        """Mount one thing more. Raises ManifestError where it cannot stand, OSError, SupervisorError."""
        mount = self._labelled(mount)
        self._refuse_to_store(isinstance(mount.source, HostSource) and mount.mode is Mode.READ_WRITE)
        async with self._change():
            self._placing.require_world()
            if mount.order is not Order.REPLACE and (joined := await self._unions.join(mount)) is not None:
                return joined[0]
            return await self._placing.add(mount)

    async def mount_shared(self, mount: Mount, other: LiveView, shared: Placement) -> Placement:
        """Mount what the kernel mounts in another world already: the same files, the same memory, the same
        changes. Errors as `mount`."""
        # A copy too: what changes in it may be kept, in that world or in the one that it comes from.
        self._refuse_to_store(mount.mode is not Mode.READ_ONLY)
        async with self._change():
            tree_fd = await other._world.copy_mount(shared.mount.at)
            with ExitStack() as resources:
                resources.callback(os.close, tree_fd)
                writable, owner = mount.mode is not Mode.READ_ONLY, other._world.identity
                way = await way_to_share(shared, tree_fd, owner, self._mounts, writable, resources)
                if way.node is None:
                    return await self._placing.add(mount, None if way.anew else tree_fd)
                placement = await self._placing.add(replace(mount, revocable=True), None, way.node)
                placement.resources.push(resources.pop_all())
                return placement

    async def copy(self, placement: Placement) -> int:
        """A detached copy of a mount of the kernel; the caller's. Raises OSError, HostError where the world
        could not be built, SupervisorError where it has ended."""
        try:
            return await self._world.copy_mount(placement.mount.at)
        except SupervisorError:
            check_built(self._world)
            raise

    async def bind(self, source: str, mount: Mount, *, read_only: bool) -> tuple[Placement, list[Placement]]:
        """Mount a second time what the world itself shows at `source`, as an element where it joins a union
        or has layers; give that, and what it shows something of. In another mount its mount point must be
        there. Raises ManifestError, OSError (EBUSY where something is mounted there), SupervisorError."""
        async with self._change():
            at = mount.at
            self._placing.require_world()
            if mount.order is not Order.REPLACE or mount.layers or mount.revocable:
                joined = await self._unions.join(replace(mount, source=BoundSource(source)))
                assert joined is not None  # what is bound always is
                return joined
            if at in self._unions.places():
                raise OSError(errno.EBUSY, f"{at} is mounted already: unmount it first")
            directory = await self._world.is_directory(source)
            above = any(is_at_or_below(at, other) for other in self._unions.places())
            with ExitStack() as undo:
                if not above:
                    self._view.point(at, directory, undo)
                step = {"at": at, "make_point": False, "restrict": read_only}
                shown = await self._world.bind(at, source, step)
                undo.pop_all()
            origins = [each for name in shown for each in self._unions.known_as(name)]
            placement = self.placements[at] = Placement(mount, "bind", in_skeleton=not above)
            return placement, origins

    async def unmount(self, placement: Placement) -> None:
        """Take a mount out; those below it go before it. Does nothing where it is gone. Raises OSError,
        SupervisorError."""
        async with self._change():
            if placement not in self._held():
                return
            if placement.union is None:
                await self._placing.take(placement)
            elif not self._world.gone.is_set() and (covered := await self._unions.leave(placement)):
                await self._placing.take(covered)
            for directory in placement.shown_by:
                self._unions.revoke(directory)
            if self.placements.get(placement.mount.at) is placement:
                del self.placements[placement.mount.at]

    async def standing_on(self, placement: Placement) -> list[Placement]:
        """What goes with a mount since it stands on it, the deepest first."""
        at = placement.mount.at
        below = [each for each in self._held() if each.mount.at != at and is_at_or_below(each.mount.at, at)]
        union = placement.union
        if union is not None and union.members != [placement]:
            on_it = []
            for each in below:
                name = each.mount.at.removeprefix(at).split("/")[1].encode()
                if await union.union.element_of(name) in placement.elements:
                    on_it.append(each)
            below = on_it
        return sorted(below, key=lambda each: each.mount.at, reverse=True)

    def _held(self) -> list[Placement]:
        return [*self.placements.values(), *self._unions.joined()]

    async def narrow(self, placement: Placement, mount: Mount) -> Note:
        """Make a mount what `mount` says, which asks for less of the same. Where that cannot be in place, the
        mount is replaced; then nothing may stand on it, since that would go, and show what it covers. Raises
        ManifestError, SupervisorError, OSError."""
        async with self._change():
            if placement not in self._held():
                raise SupervisorError(f"nothing is mounted at {placement.mount.at} any more")
            return await self._narrowing.narrow(placement, mount)

    def follow(self, placement: Placement, mount: Mount) -> None:
        """Note what a served mount has become by the layers of what it was made from. Sync on purpose;
        `settle` waits for the kernel."""
        assert placement.node is not None
        stack = stack_of(placement.node)
        assert stack is not None  # whatever is handed on has one
        placement.mount = mount
        self._view.forget(stack.holds, self._unions.places())

    async def settle(self) -> None:
        """Return when the kernel has heard of every change."""
        await self._view.settle()
