"""The namespace of a running world, and how it changes: mount, unmount, revoke, restrict.

Rules:
- One change of a world at a time, none cancelled in the middle; a mount that fails leaves the view as it was,
  a narrowing that fails leaves less.
- What joins a union is an element of it: see `libos.worlds.joining`.
- What the kernel mounts is detached when it goes: no path leads to it, and who has something open of it keeps
  that. What is served is revoked: all that is open of it answers EIO.
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

import trio

from libos.errors import ManifestError, SupervisorError
from libos.fs.layers import stack_of
from libos.fs.layers.readonly import ReadOnly
from libos.fs.union import Union
from libos.namespace import (
    BoundSource,
    HostSource,
    Mode,
    Mount,
    Namespace,
    Order,
    ServiceSource,
    is_at_or_below,
)
from libos.plan import Bind, BindService, Overlay, Plan, Step, Tmpfs
from libos.plan.live import Addition, lower_one
from libos.worlds.joining import LiveUnions, stacks
from libos.worlds.nodes import make_node, mounted_node
from libos.worlds.placements import MECHANISMS, Placement, in_turn, placements_of
from libos.worlds.steps import step_message

if TYPE_CHECKING:
    from libos.fs.node import Node
    from libos.net.naming.names import Names
    from libos.plan import Served
    from libos.worlds.hostmounts import HostMounts
    from libos.worlds.keeping import Keeper
    from libos.worlds.persisting import Persisting
    from libos.worlds.view import View
    from libos.worlds.world import World


@dataclass(frozen=True)
class Note:
    """What a person should know of a change, and the new placement where the old one was replaced."""

    text: str = ""
    replaced: Placement | None = None


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
        self._view = view
        self._keeper = keeper
        self._mounts = mounts
        self._names = names
        self._kept = kept
        self._serve_all = plan.serve_all
        self._turn = trio.Lock()
        self._numbers = count(1)
        self.placements: dict[str, Placement] = {each.mount.at: each for each in placements_of(plan, view)}
        self._unions = LiveUnions(world, view, keeper, self.placements, self._node)

    def namespace(self) -> Namespace:
        """What is mounted now, in the order in which it was."""
        return Namespace(tuple(in_turn((*self.placements.values(), *self._unions.joined()))))

    async def _node(self, served: Served, resources: ExitStack) -> Node:
        if served.copy_on_write and isinstance(served.source, HostSource):
            served = replace(served, changes=await self._kept.folder(served.at, served.source.path))
        return await make_node(served, self._names, self._mounts.overlay, resources, self._view.layering)

    @asynccontextmanager
    async def _change(self) -> AsyncIterator[None]:
        """One change, which is not cancelled in the middle: what init was asked for, it does. After the block
        the kernel has heard of it."""
        async with self._turn:
            with trio.CancelScope(shield=True):
                yield
                await self._view.settle()

    async def mount(self, mount: Mount) -> Placement:
        """Mount one thing more. Raises ManifestError where it cannot stand, OSError, SupervisorError."""
        async with self._change():
            self._require_world()
            if mount.order is not Order.REPLACE and (joined := await self._unions.join(mount)) is not None:
                return joined[0]
            return await self._add(mount, None)

    async def mount_shared(self, mount: Mount, other: LiveView, shared: Placement) -> Placement:
        """Mount what the kernel mounts in another world already: the same files, the same memory, the same
        changes. Errors as `mount`."""
        async with self._change():
            tree_fd = await other._world.copy_mount(shared.mount.at)
            try:
                return await self._add(mount, tree_fd)
            finally:
                os.close(tree_fd)

    async def bind(self, source: str, mount: Mount, *, read_only: bool) -> tuple[Placement, list[Placement]]:
        """Mount a second time what the world itself shows at `source`, as an element where it joins a union
        or has layers; give that, and what it shows something of. In another mount its mount point must be
        there. Raises ManifestError, OSError (EBUSY where something is mounted there), SupervisorError."""
        async with self._change():
            at = mount.at
            self._require_world()
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
                await self._take(placement)
            elif not self._world.gone.is_set() and (covered := await self._unions.leave(placement)):
                await self._take(covered)
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

    def _require_world(self) -> None:
        if self._world.gone.is_set():
            raise SupervisorError("its world has ended")

    async def narrow(self, placement: Placement, mount: Mount) -> Note:
        """Make a mount what `mount` says, which asks for less of the same. Where that cannot be in place, the
        mount is replaced; then nothing may stand on it, since that would go, and show what it covers. Raises
        ManifestError, SupervisorError, OSError."""
        async with self._change():
            if placement not in self._held():
                raise SupervisorError(f"nothing is mounted at {placement.mount.at} any more")
            self._unions.narrowed(placement)
            if placement.union is None and isinstance(placement.node, Union):
                self._unions.adopt(placement)
            if placement.served and stacks(placement):
                text = await self._narrow_earlier(placement, mount)
                await self._lay(placement, mount)
                return Note(text)
            if not mount.layers and await self._restrict(placement):
                placement.mount = mount
                return Note()
            if isinstance(mount.source, ServiceSource):
                raise ManifestError(f'"{mount.at}" is a service: there are no names to narrow it by')
            self._require_bare(mount.at)
            replaced = await self._replace(placement, mount)
            return Note("what was open of it " + ("fails" if placement.served else "lives on"), replaced)

    async def _replace(self, placement: Placement, mount: Mount) -> Placement:
        """Put what a narrower mount asks for in the place of one. Memory and copies stay what they are: they
        are served from the mount's own descriptor."""
        node, resources = None, ExitStack()
        if placement.mechanism in ("tmpfs", "overlay"):
            tree_fd = await self._world.copy_mount(mount.at)
            resources.callback(os.close, tree_fd)
            node = await mounted_node(tree_fd, resources, writable=mount.mode is not Mode.READ_ONLY)
            mount = replace(mount, revocable=True)
        with resources:
            await self._take(placement)
            del self.placements[mount.at]
            replaced = await self._add(mount, None, node)
            replaced.resources.push(resources.pop_all())
        return replaced

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

    def _require_bare(self, at: str) -> None:
        for other in self._unions.places():
            if other != at and is_at_or_below(other, at):
                raise SupervisorError(
                    f"{at} cannot be narrowed in place, and {other} stands on it: "
                    "revoke it, or mount it as revocable in the first place"
                )

    async def _lay(self, placement: Placement, mount: Mount) -> None:
        """Lay what `mount` asks for beyond what it was over a tree that is served."""
        more = mount.layers[len(placement.mount.layers) :]
        read_only = mount.mode is Mode.READ_ONLY
        writable = any(each.mode is not Mode.READ_ONLY for each in placement.mounts)
        for stack in stacks(placement):
            if read_only and writable:
                stack.add(ReadOnly())
            for layer in more:
                await self._view.layering.add(stack, layer, placement.mount.at)
            self._view.forget(stack.holds, self._unions.places())
        placement.mount = mount
        placement.joined = [
            replace(each, mode=Mode.READ_ONLY if read_only else each.mode, layers=each.layers + more)
            for each in placement.joined
        ]

    async def _narrow_earlier(self, placement: Placement, mount: Mount) -> str:
        """Narrow what is open of a mount from before it became an element; what a person should know."""
        live = placement.union
        if live is None or live.base is not placement or live.covered is None or live.slot is None:
            return ""
        if placement.was_mounted:
            if not mount.layers and await self._restrict(live.covered, alone=True):
                return ""
            return "what was open of it before the union lives on"
        if live.covered.node is not None and stack_of(live.covered.node) is not None:
            return ""
        self._unions.revoke_earlier(live)
        return "what was open of it before the union fails"

    async def _restrict(self, placement: Placement, *, alone: bool = False) -> bool:
        """Make a kernel mount read-only; False where that cannot be in place: a file is open for writing."""
        if placement.served:
            return False
        try:
            await self._world.restrict(placement.mount.at, alone=alone)
        except OSError as error:
            if error.errno == errno.EBUSY:
                return False
            raise
        return True

    async def _add(self, mount: Mount, tree_fd: int | None, node: Node | None = None) -> Placement:
        self._require_world()
        addition, made_fd = await trio.to_thread.run_sync(self._lowered, mount, tree_fd is None)
        try:
            placement = await self._place(addition, tree_fd if made_fd is None else made_fd, node)
        finally:
            if made_fd is not None:
                os.close(made_fd)
        self.placements[mount.at] = placement
        return placement

    def _lowered(self, mount: Mount, alone: bool) -> tuple[Addition, int | None]:
        """All that is asked of the host for a mount, in one turn of a worker thread: how it is lowered, and
        the tree of a bind where that can be made here."""
        addition = lower_one(self.namespace(), mount, serve_all=self._serve_all)
        step = addition.step
        if not alone or not isinstance(step, Bind):
            return addition, None
        return addition, self._mounts.bind_here(step.source, read_only=step.read_only)

    async def _place(self, addition: Addition, tree_fd: int | None, node: Node | None) -> Placement:
        with ExitStack() as undo:
            if addition.served is not None:
                placement = await self._serve(addition, node, undo)
            else:
                assert addition.step is not None
                placement = Placement(
                    addition.mount,
                    MECHANISMS[type(addition.step)],
                    in_skeleton=addition.point is not None,
                )
                if addition.point is not None:
                    self._view.point(addition.mount.at, addition.point, undo)
                await self._mount(addition.mount, addition.step, tree_fd)
            undo.pop_all()
        return placement

    async def _serve(self, addition: Addition, node: Node | None, undo: ExitStack) -> Placement:
        mount, served = addition.mount, addition.served
        assert served is not None
        in_skeleton = served.slot is None
        slot = None if in_skeleton else self._view.new_slot()
        placement = Placement(mount, "served", in_skeleton=in_skeleton, slot=slot)
        undo.enter_context(placement.resources)
        if node is None:
            node = await self._node(served, placement.resources)
        else:
            node = await self._view.layering.lay(node, served.layers, mount.at, always=True)
        placement.node = node
        if slot is None:
            self._view.skeleton.attach(mount.at.encode(), node)
            undo.callback(self._view.skeleton.detach, mount.at.encode())
            return placement
        self._view.attach_slot(slot, node, placement.resources, mount.at)
        tree_fd = await self._keeper.served_tree(slot)
        try:
            assert addition.step is not None
            await self._world.mount(mount.at, step_message(addition.step, ""), tree_fd)
        finally:
            os.close(tree_fd)
        return placement

    async def _mount(self, mount: Mount, step: Step, shared_fd: int | None) -> None:
        at, message = mount.at, step_message(step, "")
        if shared_fd is not None:
            message["restrict"] = mount.mode is Mode.READ_ONLY
            await self._world.mount(at, message, shared_fd)
            return
        if isinstance(step, Tmpfs):
            await self._world.mount(at, message)
            return
        if isinstance(step, BindService):
            await self._mount_service(mount, message)
            return
        if isinstance(step, Bind):
            tree_fd = await self._mounts.bind(step.source, read_only=step.read_only)
        elif isinstance(step, Overlay):
            tree_fd = await self._mounts.overlay(step.lower, await self._kept.folder(at, step.lower))
        else:
            raise SupervisorError(f"{type(step).__name__} cannot be mounted in a running world")
        try:
            await self._world.mount(at, message, tree_fd)
        finally:
            os.close(tree_fd)

    async def _mount_service(self, mount: Mount, message: dict[str, Any]) -> None:
        assert isinstance(mount.source, ServiceSource)
        tree_fd = await self._mounts.services.make(mount.at, mount.source)
        try:
            await self._world.mount(mount.at, message, tree_fd)
        except BaseException:
            self._mounts.services.end(mount.at)
            raise
        finally:
            os.close(tree_fd)

    async def _take(self, placement: Placement) -> None:
        """Revoke or detach. What is served is revoked first: nothing is left open, whatever follows."""
        if self._world.gone.is_set():
            return  # it went with its world
        at = placement.mount.at
        self._mounts.services.end(at)
        if placement.served:
            self._view.revoke(at, placement.slot)
        if not placement.served or placement.slot is not None:
            await self._world.unmount(at)
        if placement.in_skeleton:
            self._view.skeleton.detach(at.encode())
        await self._view.settle()
        placement.resources.close()
