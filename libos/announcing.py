"""What is told of a world when it begins and when it ends: events, in an order that readers may rely on.

`world.plan` comes before anything happens in the world, then `app.start`, then what this host does not give
it; `app.exit` is its last event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from libos.plan.labelling import refused_grants
from libos.plan.rootids import SUB_IDS
from libos.plan.walls import host_walls, lacks

if TYPE_CHECKING:
    from libos.app import App
    from libos.events import Hub
    from libos.plan import Plan


def tell_plan(hub: Hub, name: str, plan: Plan) -> None:
    """Tell what the world is, where somebody listens."""
    if hub.heard:
        from libos.plan.telling import told

        for fields in told(plan):
            hub.emit("world.plan", name, **fields)


def tell_start(
    hub: Hub,
    app: App,
    command: Sequence[str],
    plan: Plan,
    lacking_ids: str | None,
    observe: Callable[[str, Mapping[str, object]], None],
) -> None:
    """Tell that the app was started, what its label refuses it, and what is missing. `lacking_ids` says why a
    root inside has no ids of its own."""
    hub.emit("app.start", app.name, pid=app.pid, command=list(command))
    for refused in refused_grants(plan):
        observe("label", refused)
    missing = [*lacks(host_walls()), *([(SUB_IDS, lacking_ids)] if lacking_ids is not None else ())]
    missing += [(each.feature, each.reason) for each in plan.limits.missing]
    for feature, reason in missing:
        hub.emit("missing", app.name, feature=feature, reason=reason)


def tell_exit(hub: Hub, app: App, seconds: float, found: Mapping[str, object]) -> None:
    """Tell how the app ended, after so many seconds, and what was counted of it, without empty counts."""
    status = app.status
    assert status is not None
    fields = {"status": status.returncode, "reason": status.reason, "seconds": round(seconds, 6)}
    hub.emit("app.exit", app.name, **fields, **{key: value for key, value in found.items() if value})
