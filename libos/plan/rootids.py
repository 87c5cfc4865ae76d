"""How many ids a root inside has, and why no more.

Sub-ids of an ordinary user (`libos.keeper.subids`) are for worlds that store nothing on the host's disk: a
file of a sub-id there is one that its user can neither change nor remove. So a plan with a read-write mount
of the host, or whose changes are kept, has uid 0 alone, and all that is made there is the user's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from libos.keeper.identity import SLOT
from libos.namespace import HostSource, Mode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from libos.manifest import Manifest
    from libos.namespace import Mount
    from libos.plan.model import Plan

# What `missing` events call them.
SUB_IDS = "sub-ids"


class RootIds(NamedTuple):
    """`length` is 0 where the app is no root. `why` there are no more; `missing` is that where the host has
    them not to give."""

    length: int
    shared: bool = False  # sub-ids are among them, which the user's other worlds have too
    why: str = ""
    missing: str | None = None


def root_ids(plan: Plan, own: int, lack: str | None) -> RootIds:
    """Decide for a plan on a host that gives the world `own` ids, and sub-ids but for `lack`: "" where they
    are there, None where nobody asked for them."""
    if not plan.root:
        return RootIds(0)
    if own > 1 or lack is None:
        return RootIds(own)
    if stores(plan.namespace, plan.keep):
        return RootIds(1, why="sub-ids are for worlds that store nothing on the host")
    if lack:
        return RootIds(1, why=lack, missing=f"{lack}; the root inside has uid 0 alone")
    return RootIds(SLOT, shared=True)


def wants_sub_ids(manifest: Manifest) -> bool:
    """Whether an app of this manifest has sub-ids where there are some."""
    return manifest.app.user == "root" and not stores(manifest.mounts, manifest.app.keep)


def stores(mounts: Iterable[Mount], keep: str | None) -> bool:
    """Whether an app with these mounts, its changes kept under a name or not, writes to the host's disk."""
    written = (each.mode is Mode.READ_WRITE and isinstance(each.source, HostSource) for each in mounts)
    return keep is not None or any(written)
