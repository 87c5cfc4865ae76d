"""An attempt at a stop: each program that a check asks for is run once, and all checks are judged."""

from __future__ import annotations

from libos.errors import ManifestError
from libos.manifest import load
from libos.tour.checks import Seen, judge
from libos.tour.running import Runner
from libos.tour.stop import Stop
from libos.tour.verdict import Verdict
from libos.trimming.grants import grants


async def attempt(runner: Runner) -> Verdict:
    """The verdict on the learner's manifest as it is now. Raises HostError, SupervisorError, TourError."""
    stop = runner.stop
    await runner.workspace.fresh()
    try:
        manifest = runner.manifest()
    except ManifestError as error:
        return Verdict(stop.name, error=str(error))
    seen: dict[str, Seen] = {}
    for name in dict.fromkeys(check.run for check in stop.checks):
        seen[name] = await runner.run(name)
    checked = tuple(judge(check, seen[check.run]) for check in stop.checks)
    return Verdict(stop.name, checked, len(grants(manifest)), par(stop), seen=seen)


def par(stop: Stop) -> int:
    """How many grants the stop's own solution has; 0 where that cannot be read, which `verify` tells."""
    try:
        return len(grants(load(stop.solution)))
    except ManifestError:
        return 0
