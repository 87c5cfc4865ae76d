"""A plan as JSON values, for `libos explain --json`.

Version 1. Within a version, keys are only added. What Python code answers is named, not shown; the content of
texts is not shown either, since it may be a secret: its size is.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from libos.manifest.model import Network
from libos.namespace import (
    BoundSource,
    BytesSource,
    ChannelSource,
    HostSource,
    MemorySource,
    P9Source,
    ServiceSource,
    Source,
    TextSource,
    WorldSource,
)
from libos.plan.model import Part, Plan, Served, Step

VERSION = 1


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan as what json.dumps takes."""
    return {
        "version": VERSION,
        "name": plan.name,
        "command": list(plan.command),
        "directory": plan.directory,
        "environment": dict(plan.environment),
        "hostname": plan.hostname,
        "user": "root" if plan.root else "app",
        "ambient": plan.ambient,
        "vets": plan.vets,
        "time": plan.time,
        "limits": {**asdict(plan.limits), "allow_missing": list(plan.allow_missing)},
        "resources": [asdict(line) for line in plan.lines],
        "steps": [_step(step) for step in plan.steps],
        "served": [_served(served) for served in plan.served],
        "points": [{"at": at, "directory": directory} for at, directory in plan.points],
        "dial": [str(rule) for rule in plan.dials],
        "secret": [{"name": each.name, "header": each.header, "to": list(each.to)} for each in plan.secrets],
        "syscalls": asdict(plan.syscalls),
        "network": {"routed": plan.routed, **_said(plan.network)},
        "listen": [{"port": listen.port, "publish": listen.published} for listen in plan.listens],
    }


def _said(network: Network) -> dict[str, Any]:
    said = asdict(network)
    return {key: said[key] for key in said if key not in ("routed", "origin") and said[key] is not None}


def _step(step: Step) -> dict[str, Any]:
    return {"step": type(step).__name__.lower(), **asdict(step)}


def _served(served: Served) -> dict[str, Any]:
    return {
        "at": served.at,
        "source": source_json(served.source),
        "writable": served.writable,
        "copy_on_write": served.copy_on_write,
        "replaceable": served.replaceable,
        "layers": [{"layer": type(each).__name__.lower(), **asdict(each)} for each in served.layers],
        "slot": served.slot,
        "elements": [_part(part) for part in served.elements],
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "source": source_json(part.served.source),
        "below": part.below,
        "creatable": part.creatable,
        "writable": part.served.writable and not part.read_only,
    }


def source_json(source: Source) -> dict[str, Any]:
    """A source: its kind, and what of it may be shown."""
    if isinstance(source, HostSource):
        return {"kind": "host", "path": source.path}
    if isinstance(source, BoundSource):
        return {"kind": "bind", "path": source.path}
    if isinstance(source, TextSource):
        return {"kind": "text", "bytes": len(source.text.encode())}
    if isinstance(source, BytesSource):
        return {"kind": "bytes", "bytes": len(source.data)}
    if isinstance(source, MemorySource):
        return {"kind": "memory", "bytes": source.size}
    if isinstance(source, ChannelSource):
        return {"kind": "channel", **asdict(source)}
    if isinstance(source, P9Source):
        return {"kind": "p9", "to": source.to}
    if isinstance(source, ServiceSource):
        return {"kind": "service", "to": str(source)}
    if isinstance(source, WorldSource):
        return {"kind": "world", "name": source.name}
    return {"kind": type(source).__name__.removesuffix("Source").lower()}
