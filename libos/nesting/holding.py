"""What a running world holds at this moment, as values to compare a plan with.

Paths are those that were mounted, without links: of what the manifest says as it was lowered, of what came
later as it is resolved now.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from libos.keeper.identity import serves_root
from libos.namespace import HostSource, Mount
from libos.plan import Bind, Overlay

if TYPE_CHECKING:
    from libos.app import App
    from libos.branch import Branch
    from libos.grants import Grant
    from libos.net.granting.dialed import Dialed
    from libos.plan import Plan


@dataclass(frozen=True)
class Held:
    """One mount: what it says, the host's path that it shows, whether the kernel binds it, its grant (None
    for what only a union shows)."""

    mount: Mount
    path: str | None
    bound: bool
    grant: Grant | None = None


@dataclass(frozen=True)
class Holding:
    """What one world holds: `mounts` in the order in which they cover each other."""

    name: str
    plan: Plan
    mounts: tuple[Held, ...]
    dials: Sequence[Dialed]
    branch: Branch
    root: bool  # the host's root serves it: each world is another user


def holding_of(app: App) -> Holding:
    """What an app holds now."""
    paths = host_paths(app.plan)
    by_mount = {id(grant.placement.mount): grant for grant in app.grants if not grant.revoked}
    mounts = []
    for mount in app.grants.mounts():
        grant = by_mount.get(id(mount))
        path = None
        if isinstance(mount.source, HostSource):
            path = paths.get((mount.at, mount.source.path)) or os.path.realpath(mount.source.path)
        bound = grant is not None and grant.mechanism == "bind"
        mounts.append(Held(mount, path, bound, grant))
    return Holding(app.name, app.plan, tuple(mounts), app.gate.grants, app.branch, serves_root())


def host_paths(plan: Plan) -> dict[tuple[str, str], str]:
    """The host's path without links of each mount of a plan, by its place and the path that was written."""
    real = {step.at: step.source for step in plan.steps if isinstance(step, Bind)}
    real |= {step.at: step.lower for step in plan.steps if isinstance(step, Overlay)}
    real |= {each.at: each.source.path for each in plan.served if isinstance(each.source, HostSource)}
    return {
        (mount.at, mount.source.path): real[mount.at]
        for mount in plan.namespace
        if isinstance(mount.source, HostSource) and mount.at in real
    }


def wanted_of(plan: Plan) -> tuple[Held, ...]:
    """The mounts of a plan in the same form."""
    paths = host_paths(plan)
    bound = {step.at for step in plan.steps if isinstance(step, Bind)}
    return tuple(
        Held(
            mount,
            paths.get((mount.at, mount.source.path)) if isinstance(mount.source, HostSource) else None,
            mount.at in bound,
        )
        for mount in plan.namespace
    )
