"""A plan's steps in the form in which the keeper's init takes them."""

from __future__ import annotations

from typing import Any

from libos.plan import Bind, BindServed, BindService, Overlay, Rebind, Step, Tmpfs


def step_message(step: Step, world_id: str) -> dict[str, Any]:
    """Give a step as a message; see `libos.keeper.world`."""
    common: dict[str, Any] = {"at": step.at, "make_point": step.make_point}
    if not isinstance(step, Rebind) and step.noexec:
        common["noexec"] = True
    match step:
        case Bind():
            return common | {"op": "bind", "source": step.source, "read_only": step.read_only}
        case Overlay():
            kept = {} if step.changes is None else {"changes": kept_folder(step.changes)}
            overlay = {"op": "overlay", "source": step.lower, "read_only": True, "size": step.size}
            return common | overlay | kept
        case Tmpfs():
            return common | {"op": "tmpfs", "size": step.size, "mode": step.mode}
        case Rebind():
            return common | {"op": "rebind", "path": step.path, "read_only": step.read_only}
        case BindService():
            return common | {"op": "bind", "read_only": True}  # its tree comes down: worlds.services
        case BindServed():
            return common | {"op": "served", "name": slot_name(world_id, step.slot)}


def kept_folder(path: str) -> dict[str, Any]:
    """What is asked for a folder of kept changes. It is the caller's own, and links may lead there."""
    return {"source": path, "read_only": False, "links": True}


def slot_name(world_id: str, slot: int) -> str:
    """Give the name, in the FUSE mount's root, of a served node that stands below another mount."""
    return f"{world_id}.{slot}"
