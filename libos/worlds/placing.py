"""One mount more in a running world, or one less: lowered, made where it is cheapest, put in place.

Rules:
- A mount that fails leaves the view as it was.
- What the kernel mounts is detached when it goes: no path leads to it, and who has something open of it keeps
  that. What is served is revoked: all that is open of it answers EIO.
- Not for two changes of a world at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

from libos.errors import SupervisorError
from libos.namespace import HostSource, Mode, Mount, Namespace, ServiceSource
from libos.plan import Bind, BindService, Overlay, Step, Tmpfs
from libos.plan.live import Addition, lower_one
from libos.worlds.nodes import make_node
from libos.worlds.placements import MECHANISMS, Placement
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


class Placing:
    """That of one world. `placements` are its mounts by their places, which it keeps true; `namespace` gives
    all that is mounted."""

    def __init__(
        self,
        world: World,
        view: View,
        keeper: Keeper,
        mounts: HostMounts,
        names: Names,
        kept: Persisting,
        placements: dict[str, Placement],
        namespace: Callable[[], Namespace],
        *,
        serve_all: bool,
    ) -> None:
        self._world = world
        self._view = view
        self._keeper = keeper
        self._mounts = mounts
        self._names = names
        self._kept = kept
        self._placements = placements
        self._namespace = namespace
        self._serve_all = serve_all

    def require_world(self) -> None:
        """Raises SupervisorError where the world has ended."""
        if self._world.gone.is_set():
            raise SupervisorError("its world has ended")

    async def node(self, served: Served, resources: ExitStack) -> Node:
        """The node of what is served; what it holds is closed with `resources`. Raises OSError."""
        if served.copy_on_write and isinstance(served.source, HostSource):
            served = replace(served, changes=await self._kept.folder(served.at, served.source.path))
        return await make_node(served, self._names, self._mounts, resources, self._view.layering)

    async def add(self, mount: Mount, tree_fd: int | None = None, node: Node | None = None) -> Placement:
        """Put a mount in place: of a tree that is there, or served by a node that is there, where they are
        given. Raises ManifestError where it cannot stand, OSError, SupervisorError."""
        self.require_world()
        addition, made_fd = await trio.to_thread.run_sync(self._lowered, mount, tree_fd is None)
        try:
            placement = await self._place(addition, tree_fd if made_fd is None else made_fd, node)
        finally:
            if made_fd is not None:
                os.close(made_fd)
        self._placements[mount.at] = placement
        self._view.mounted(mount.at)
        return placement

    def _lowered(self, mount: Mount, alone: bool) -> tuple[Addition, int | None]:
        """All that is asked of the host for a mount, in one turn of a worker thread: how it is lowered, and
        the tree of a bind where that can be made here."""
        addition = lower_one(self._namespace(), mount, serve_all=self._serve_all)
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
            node = await self.node(served, placement.resources)
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

    async def take(self, placement: Placement) -> None:
        """Revoke or detach. What is served is revoked first: nothing is left open, whatever follows. Raises
        OSError, SupervisorError."""
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
