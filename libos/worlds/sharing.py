"""How a mount of one world is mounted in another, whose app may be another user of the host."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from libos.namespace import HostSource
from libos.worlds.nodes import mounted_node

if TYPE_CHECKING:
    from libos.fs.node import Node
    from libos.keeper.identity import Identity
    from libos.worlds.hostmounts import HostMounts
    from libos.worlds.placements import Placement


class Way(NamedTuple):
    """Mount the copy itself; or what it was made from `anew`; or serve the `node`."""

    anew: bool = False
    node: Node | None = None


async def way_to_share(
    shared: Placement,
    tree_fd: int,
    former: Identity,
    mounts: HostMounts,
    writable: bool,
    resources: ExitStack,
) -> Way:
    """Find the way for the detached copy `tree_fd` of a mount of the world whose app is `former`.

    A host's file is mounted anew, if it is still the same one; memory is id-mapped. What cannot be, an
    overlay for one, is served from the copy, which then lasts as long as `resources`. mount_setattr(2).
    Raises OSError.
    """
    if former == mounts.identity or shared.mechanism == "socket":
        return Way()
    if shared.mechanism == "bind" and is_same(shared.mount.source, tree_fd):
        return Way(anew=True)
    if await mounts.move(tree_fd, former.id):
        return Way()
    return Way(node=await mounted_node(tree_fd, resources, former.owner, mounts.outside, writable=writable))


def is_same(source: object, tree_fd: int) -> bool:
    """Whether a path of the host still leads to what is mounted."""
    if not isinstance(source, HostSource):
        return False
    try:
        return os.path.samestat(os.stat(source.path), os.fstat(tree_fd))
    except OSError:
        return False
