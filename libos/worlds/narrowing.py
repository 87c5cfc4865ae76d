"""Making a mount of a running world less: read-only, with layers laid over it, or replaced by what is less.

Rules:
- A narrowing that fails leaves less, never more.
- It is done in place where it can be: what is open then follows. Where it cannot, the mount is replaced.
- Not for two changes of a world at once.
"""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from libos.errors import ManifestError, SupervisorError
from libos.fs.layers import stack_of
from libos.fs.layers.readonly import ReadOnly
from libos.fs.union import Union
from libos.namespace import Mode, Mount, ServiceSource, is_at_or_below
from libos.worlds.joining import LiveUnions, stacks
from libos.worlds.nodes import mounted_node
from libos.worlds.placements import Placement

if TYPE_CHECKING:
    from libos.worlds.placing import Placing
    from libos.worlds.view import View
    from libos.worlds.world import World


@dataclass(frozen=True)
class Note:
    """What a person should know of a change, and the new placement where the old one was replaced."""

    text: str = ""
    replaced: Placement | None = None


class Narrowing:
    """That of one world. `placements` are its mounts by their places, but for what joined unions."""

    def __init__(
        self,
        world: World,
        view: View,
        unions: LiveUnions,
        placing: Placing,
        placements: dict[str, Placement],
    ) -> None:
        self._world = world
        self._view = view
        self._unions = unions
        self._placing = placing
        self._placements = placements

    async def narrow(self, placement: Placement, mount: Mount) -> Note:
        """See `LiveView.narrow`."""
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
            owner, writable = self._world.identity.owner, mount.mode is not Mode.READ_ONLY
            node = await mounted_node(tree_fd, resources, owner, self._world.outside, writable=writable)
            mount = replace(mount, revocable=True)
        with resources:
            await self._placing.take(placement)
            del self._placements[mount.at]
            replaced = await self._placing.add(mount, node=node)
            replaced.resources.push(resources.pop_all())
        return replaced

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
