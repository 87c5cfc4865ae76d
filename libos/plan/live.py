"""One more mount for a running world: what `lower` does for a whole plan, done for a single mount. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from libos.errors import ManifestError
from libos.manifest.problems import error
from libos.namespace import BoundSource, Mount, Namespace, Order, is_at_or_below
from libos.plan.hostview import Host, HostView
from libos.plan.lowering import Lowering
from libos.plan.model import Line, Served, Step
from libos.plan.vetting import vetting, way_round


@dataclass(frozen=True)
class Addition:
    """What a mount takes: a step for init, a node to serve, or both; and, with `point`, a mount point in the
    skeleton (whether it is a directory)."""

    mount: Mount
    step: Step | None
    served: Served | None
    point: bool | None
    line: Line


def lower_one(
    mounted: Iterable[Mount], mount: Mount, host: HostView | None = None, *, serve_all: bool = False
) -> Addition:
    """Lower `mount` into a namespace that has `mounted` already. Raises ManifestError with every reason for
    which it cannot stand there."""
    lowering = Lowering(host if host is not None else Host(), serve_all)
    mounted = tuple(mounted)
    above = [each for each in mounted if is_at_or_below(mount.at, each.at)]
    bound = any(isinstance(each.source, BoundSource) for each in above)
    for each in Namespace.ordered(mounted):
        if each.at == mount.at:
            raise ManifestError(
                f'"{mount.at}" is mounted already ({each.origin or "by the manifest"}): unmount it first'
            )
        if bound or is_at_or_below(mount.at, each.at):
            lowering.place(each)  # what does not stand above it has no say, unless that is bound from it
    lowering.problems.clear()  # what was mounted stays, whatever became of its source on the host
    steps, served, points = len(lowering.steps), len(lowering.served), len(lowering.points)
    if mount.replaceable:
        raise ManifestError(
            f'"{mount.at}" cannot become replaceable while the app runs: say so in its manifest, '
            "or mount the file's folder"
        )
    if vetting(mount.layers):
        raise ManifestError(f'"{mount.at}" cannot have exec while the app runs: say so in its manifest')
    lowering.place(mount)
    if any(vetting(each.layers) for each in mounted):
        lowering.problems.extend(way_round((*mounted, mount), lowering.host))
    if lowering.problems:
        raise error(lowering.problems)
    if len(lowering.steps) == steps and len(lowering.served) == served:
        raise ManifestError(f'"{mount.at}": {lowering.lines[-1].reason}')
    return Addition(
        mount,
        step=next(iter(lowering.steps[steps:]), None),
        served=next(iter(lowering.served[served:]), None),
        point=next((directory for _, directory in lowering.points[points:]), None),
        line=lowering.lines[-1],
    )


def served_alone(mount: Mount, host: HostView | None = None) -> Served:
    """What the file server answers for a mount that becomes an element of a union. Errors as `lower_one`."""
    alone = replace(mount, order=Order.REPLACE, revocable=True)
    served = lower_one((), alone, host).served
    assert served is not None  # whatever is revocable is served
    return served
