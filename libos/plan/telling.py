"""A plan as the fields of `world.plan` events: what a world holds, for who looks at what happens in it.

Rules: each entry says where it was asked for, so that a view can name the line. What is large is told in
several events, each with a part of the lists. Nothing of a text's, a secret's or the environment's content is
told; of the environment only PATH, by which lookups are understood.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

from libos.namespace import Mount
from libos.namespace.layer_text import layer_words
from libos.plan.dial_lines import dialed
from libos.plan.lines import asked
from libos.plan.model import Plan

# Characters of JSON in one event's list: less than `libos.events.LARGEST_EVENT` leaves whole.
_ROOM = 8 * 1024

Fields = dict[str, Any]


def told(plan: Plan) -> Iterator[Fields]:
    """The fields of each `world.plan` event; the first one has what stands alone."""
    first: Fields = {
        "manifest": plan.source if os.path.isfile(plan.source) else None,
        "folder": os.getcwd(),
        "directory": plan.directory,
        "path": plan.environment.get("PATH"),
        "recorded": plan.record,
        "syscalls": _syscalls(plan),
    }
    lists: dict[str, list[Fields]] = {
        "mounts": list(_mounts(plan)),
        "dials": [
            {
                "id": f"d{number}",
                "to": str(rule.to),
                "what": dialed(rule),
                "deny": [str(each) for each in rule.deny],
                "origin": rule.origin,
            }
            for number, rule in enumerate(plan.dials, 1)
        ],
        "listens": list(_listens(plan)),
        "limits": [
            {"key": line.at.removeprefix("limits."), "asked": line.asked, "mechanism": line.mechanism,
             "origin": line.origin}
            for line in plan.lines
            if line.at.startswith("limits.")
        ],
    }  # fmt: skip
    if len(json.dumps(lists)) <= _ROOM:
        yield first | lists
        return
    yield first
    for key, entries in lists.items():
        for part in _parts(entries):
            yield {key: part}


def _listens(plan: Plan) -> Iterator[Fields]:
    """Each port, those that are published with the ids that their grants get."""
    numbers = count(1)
    for each in plan.listens:
        yield {
            "id": f"p{next(numbers)}" if each.is_published else "",
            "port": each.port,
            "network": each.network,
            "publish": each.published,
            "origin": each.origin,
        }


def _mounts(plan: Plan) -> Iterator[Fields]:
    """Each mount with how it is given. The lines of a plan stand in the order of its mounts, those of one
    place too, and have the lines of what was left out besides."""
    lines = [line for line in plan.lines if line.mechanism != "left out"]
    for mount in plan.namespace:
        at = next(
            (i for i, line in enumerate(lines) if (line.at, line.asked) == (mount.at, asked(mount))), None
        )
        line = None if at is None else lines.pop(at)
        yield _mount(mount, line.mechanism if line else "served", line.reason if line else "")


def _mount(mount: Mount, mechanism: str, reason: str) -> Fields:
    return {
        "at": mount.at,
        "what": asked(mount),
        "mode": str(mount.mode),
        "mechanism": mechanism,
        "reason": reason,
        "layers": [layer_words(layer) for layer in mount.layers],
        "origin": mount.origin,
    }


def _syscalls(plan: Plan) -> Fields:
    line = next((each for each in plan.lines if each.at == "system calls"), None)
    wanted = plan.syscalls
    return {
        "profile": wanted.profile,
        "allow": list(wanted.allow),
        "deny": list(wanted.deny),
        "log": wanted.log,
        "origin": line.origin if line else "libos",
    }


def _parts(entries: Iterable[Fields]) -> Iterator[list[Fields]]:
    part: list[Fields] = []
    room = _ROOM
    for entry in entries:
        size = len(json.dumps(entry))
        if part and size > room:
            yield part
            part, room = [], _ROOM
        part.append(entry)
        room -= size
    if part:
        yield part
