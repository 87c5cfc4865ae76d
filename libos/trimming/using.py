"""Which grants a recorded run has used, from its events. Pure.

- A mount: some path of it was used (path.used), for whatever. What was looked for in it and not found is no
  use.
- A dial: a connection was opened by it, or a flow of datagrams (dial.open).
- A listen: the app listened at the port, or was connected to (listen.ready, listen.open).
- A bind, a service, a call that is allowed besides the profile: nothing tells; only a trial does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from libos.events import Event
from libos.net.address import parse
from libos.net.granting.target import parse_target
from libos.trimming.grants import Grant

# What the run of an app tells of a grant: how often it was used, by operation.
Uses = Counter[str]


@dataclass
class Used:
    """What a run has used. `note` takes its events; `of` answers for a grant."""

    mounts: dict[str, Uses] = field(default_factory=dict)
    dials: Counter[str] = field(default_factory=Counter)
    ports: Counter[str] = field(default_factory=Counter)
    untold: int = 0

    def note(self, event: Event) -> None:
        """Count an event of the run."""
        fields = event.fields
        if event.kind == "path.used":
            uses = self.mounts.setdefault(str(fields["mount"]), Counter())
            uses[str(fields["operation"])] += _count(fields)
        elif event.kind == "path.untold":
            self.untold += _count(fields)
        elif event.kind == "dial.open":
            self.dials[str(fields["address"])] += 1
        elif event.kind in ("listen.ready", "listen.open"):
            self.ports[str(fields["port"])] += 1

    def of(self, grant: Grant) -> Uses | None:
        """How often a grant was used, by operation; empty for one that was not, None where nothing tells."""
        if not grant.told:
            return None
        if grant.kind in ("mount", "channel", "descriptor"):
            return self.mounts.get(grant.name, Counter())
        if grant.kind == "dial":
            return _named("connect", self._dialed(grant.name))
        if grant.kind == "listen":
            return _named("listen", self.ports[grant.name.rpartition("!")[2]])
        return None

    def _dialed(self, to: str) -> int:
        target = parse_target(to)
        return sum(count for address, count in self.dials.items() if target.covers(parse(address)))


def unused(found: Used, grants: Iterable[Grant]) -> list[Grant]:
    """The grants that a run did not use, of those of which it is known."""
    return [grant for grant in grants if (uses := found.of(grant)) is not None and not uses]


def _count(fields: Mapping[str, Any]) -> int:
    return int(fields.get("count", 1))


def _named(operation: str, count: int) -> Uses:
    return Counter({operation: count}) if count else Counter()
