"""The limits of a plan: decided for this host, and their lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from libos.limits.deciding import Host, decide
from libos.limits.model import Decision
from libos.manifest.model import Manifest
from libos.plan.hostview import HostView
from libos.plan.model import Line, Overlay, Step


def decided(manifest: Manifest, host: HostView) -> Decision:
    """How the limits are held here."""
    return decide(manifest.limits, Host(host.cgroups, host.kernel()), kept=manifest.app.keep is not None)


def limit_lines(manifest: Manifest, decision: Decision) -> Iterable[Line]:
    """A line a limit; its time has none, being the supervisor's own clock."""
    origins = manifest.limits.origins
    if manifest.limits.time is not None:
        reason = "the supervisor ends the app then; the status is 124"
        asked, origin = f"{manifest.limits.time:g} s", origins.get("time", "libos")
        yield Line("limits.time", asked, "supervisor", reason, origin)
    if manifest.limits.children is not None:
        reason = "how many worlds may run below it, at whatever depth"
        origin = origins.get("children", "libos")
        yield Line("limits.children", f"{manifest.limits.children}", "supervisor", reason, origin)
    for told in decision.told:
        origin = origins.get(told.key, "libos")
        yield Line(f"limits.{told.key}", told.asked, told.mechanism, told.reason, origin)


def sized(steps: Iterable[Step], disk: int | None) -> tuple[Step, ...]:
    """The steps, what changes in memory bounded by `disk`."""
    return tuple(
        replace(step, size=disk) if isinstance(step, Overlay) and step.changes is None else step
        for step in steps
    )
