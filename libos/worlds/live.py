"""The namespace of a running world, and how it changes: mount, unmount, revoke, restrict.

Rules:
- One change of a world at a time, none cancelled in the middle; a mount that fails leaves the view as it was,
  a narrowing that fails leaves less.
- What the kernel mounts is detached when it goes: no path leads to it, and who has something open of it keeps
  that. What is served is revoked: all that is open of it answers EIO.
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import trio

from libos.errors import SupervisorError
from libos.fs.layers import stack_of
from libos.fs.layers.readonly import ReadOnly
from libos.namespace import Mode, Mount, Namespace, is_at_or_below
from libos.plan import Bind, Overlay, Plan, Step, Tmpfs
from libos.plan.live import Addition, lower_one
from libos.worlds.nodes import make_node
from libos.worlds.placements import MECHANISMS, Placement, in_turn, placements_of
from libos.worlds.steps import step_message

if TYPE_CHECKING:
    from libos.net.names import Names
    from libos.worlds.hostmounts import HostMounts
    from libos.worlds.keeping import Keeper
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
        self, world: World, view: View, keeper: Keeper, mounts: HostMounts, names: Names, plan: Plan
    ) -> None:
        self._world = world
        self._view = view
        self._keeper = keeper
        self._mounts = mounts
        self._names = names
        self._serve_all = plan.serve_all
        self._turn = trio.Lock()
        self._numbers = count(1)
        self.placements: dict[str, Placement] = {each.mount.at: each for each in placements_of(plan, view)}

    def namespace(self) -> Namespace:
        """What is mounted now, in the order in which it was."""
        return Namespace(tuple(in_turn(self.placements.values())))

    @asynccontextmanager
    async def _change(self) -> AsyncIterator[None]:
        """One change, which is not cancelled in the middle: what init was asked for, it does."""
        async with self._turn:
            with trio.CancelScope(shield=True):  # noqa: ASYNC100 - who uses the block awaits
                yield

    async def mount(self, mount: Mount) -> Placement:
        """Mount one thing more. Raises ManifestError where it cannot stand, OSError, SupervisorError."""
        async with self._change():
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

    async def bind(self, source: str, mount: Mount) -> tuple[Placement, list[Placement]]:
        """Mount a second time what the world itself shows at `source`; give that, and what it shows something
        of. In another mount its mount point must be there. Raises OSError (EBUSY where something is mounted
        there), SupervisorError."""
        async with self._change():
            at = mount.at
            if at in self.placements:
                raise OSError(errno.EBUSY, f"{at} is mounted already: unmount it first")
            directory = await self._world.is_directory(source)
            above = any(is_at_or_below(at, other) for other in self.placements)
            with ExitStack() as undo:
                if not above:
                    self._point(at, directory, undo)
                    await self._view.settle()
                shown = await self._world.bind(at, source, {"at": at, "make_point": False})
                undo.pop_all()
            origins = [self.placements[name] for name in shown if name in self.placements]
            placement = self.placements[at] = Placement(mount, "bind", in_skeleton=not above)
            return placement, origins

    async def unmount(self, placement: Placement) -> None:
        """Take a mount out; those below it go before it. Does nothing where it is gone. Raises OSError,
        SupervisorError."""
        async with self._change():
            if self.placements.get(placement.mount.at) is placement:
                await self._take(placement)
                del self.placements[placement.mount.at]

    async def narrow(self, placement: Placement, mount: Mount) -> Note:
        """Make a mount what `mount` says, which asks for less of the same. Where that cannot be in place, the
        mount is replaced; then nothing may stand on it, since that would go, and show what it covers. Raises
        ManifestError, SupervisorError, OSError."""
        async with self._change():
            if self.placements.get(placement.mount.at) is not placement:
                raise SupervisorError(f"nothing is mounted at {placement.mount.at} any more")
            if placement.served and placement.node is not None and stack_of(placement.node) is not None:
                await self._lay(placement, mount)
                return Note()
            if not mount.layers and await self._restrict(placement):
                placement.mount = mount
                return Note()
            self._require_bare(mount.at)
            await self._take(placement)
            del self.placements[mount.at]
            replaced = await self._add(mount, None)
            return Note("what was open of it " + ("fails" if placement.served else "lives on"), replaced)

    def follow(self, placement: Placement, mount: Mount) -> None:
        """Note what a served mount has become by the layers of what it was made from. Sync on purpose."""
        assert placement.node is not None
        stack = stack_of(placement.node)
        assert stack is not None  # whatever is handed on has one
        placement.mount = mount
        self._view.forget(stack.holds, self.placements)

    def _require_bare(self, at: str) -> None:
        for other in self.placements:
            if other != at and is_at_or_below(other, at):
                raise SupervisorError(
                    f"{at} cannot be narrowed in place, and {other} stands on it: "
                    "revoke it, or mount it as revocable in the first place"
                )

    async def _lay(self, placement: Placement, mount: Mount) -> None:
        """Lay what `mount` asks for beyond what it was over a tree that is served."""
        assert placement.node is not None
        stack = stack_of(placement.node)
        assert stack is not None
        if mount.mode is Mode.READ_ONLY and placement.mount.mode is not Mode.READ_ONLY:
            stack.add(ReadOnly())
        for layer in mount.layers[len(placement.mount.layers) :]:
            await self._view.layering.add(stack, layer, placement.mount.at)
        placement.mount = mount
        self._view.forget(stack.holds, self.placements)

    async def _restrict(self, placement: Placement) -> bool:
        """Make a kernel mount read-only; False where that cannot be in place: a file is open for writing."""
        if placement.served:
            return False
        try:
            await self._world.restrict(placement.mount.at)
        except OSError as error:
            if error.errno == errno.EBUSY:
                return False
            raise
        return True

    async def _add(self, mount: Mount, tree_fd: int | None) -> Placement:
        if self._world.gone.is_set():
            raise SupervisorError("its world has ended")
        addition = await trio.to_thread.run_sync(
            lambda: lower_one(self.namespace(), mount, serve_all=self._serve_all)
        )
        placement = self.placements[mount.at] = await self._place(addition, tree_fd)
        return placement

    async def _place(self, addition: Addition, tree_fd: int | None) -> Placement:
        with ExitStack() as undo:
            if addition.served is not None:
                placement = await self._serve(addition, undo)
            else:
                assert addition.step is not None
                placement = Placement(
                    addition.mount,
                    MECHANISMS[type(addition.step)],
                    in_skeleton=addition.point is not None,
                )
                if addition.point is not None:
                    self._point(addition.mount.at, addition.point, undo)
                    await self._view.settle()
                await self._mount(addition.mount, addition.step, tree_fd)
            undo.pop_all()
        return placement

    async def _serve(self, addition: Addition, undo: ExitStack) -> Placement:
        mount, served = addition.mount, addition.served
        assert served is not None
        in_skeleton = served.slot is None
        slot = None if in_skeleton else self._view.new_slot()
        placement = Placement(mount, "served", in_skeleton=in_skeleton, slot=slot)
        undo.enter_context(placement.resources)
        node = await make_node(
            served, self._names, self._mounts.overlay, placement.resources, self._view.layering
        )
        placement.node = node
        if slot is None:
            self._view.skeleton.attach(mount.at.encode(), node)
            undo.callback(self._view.skeleton.detach, mount.at.encode())
            await self._view.settle()
            return placement
        self._view.attach_slot(slot, node, placement.resources, mount.at)
        tree_fd = await self._keeper.served_tree(slot)
        try:
            assert addition.step is not None
            await self._world.mount(mount.at, step_message(addition.step, ""), tree_fd)
        finally:
            os.close(tree_fd)
        return placement

    def _point(self, at: str, directory: bool, undo: ExitStack) -> None:
        skeleton, path = self._view.skeleton, at.encode()
        made = not skeleton.has(path)
        skeleton.placeholder(path, directory)
        if made:
            undo.callback(skeleton.detach, path)

    async def _mount(self, mount: Mount, step: Step, shared_fd: int | None) -> None:
        at, message = mount.at, step_message(step, "")
        if shared_fd is not None:
            message["restrict"] = mount.mode is Mode.READ_ONLY
            await self._world.mount(at, message, shared_fd)
            return
        if isinstance(step, Tmpfs):
            await self._world.mount(at, message)
            return
        if isinstance(step, Bind):
            tree_fd = await self._mounts.bind(step.source, read_only=step.read_only)
        elif isinstance(step, Overlay):
            tree_fd = await self._mounts.overlay(step.lower)
        else:
            raise SupervisorError(f"{type(step).__name__} cannot be mounted in a running world")
        try:
            await self._world.mount(at, message, tree_fd)
        finally:
            os.close(tree_fd)

    async def _take(self, placement: Placement) -> None:
        """Revoke or detach. What is served is revoked first: nothing is left open, whatever follows."""
        if self._world.gone.is_set():
            return  # it went with its world
        at = placement.mount.at
        if placement.served:
            self._view.revoke(at, placement.slot)
        if not placement.served or placement.slot is not None:
            await self._world.unmount(at)
        if placement.in_skeleton:
            self._view.skeleton.detach(at.encode())
        await self._view.settle()
        placement.resources.close()
