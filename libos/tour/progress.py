"""How far a learner has come, as values. Pure; `keeping` has it on disk.

Rules: what cannot be read is as if it were not there, stop by stop, so that a file which was cut or edited
costs what it lost and no more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

# The version of the file.
VERSION = 1
STATES = ("new", "begun", "skipped", "done")


@dataclass(frozen=True)
class Visit:
    """One stop: its state, the key that was predicted, and counts of attempts and of hints that were read.
    `grants` are the fewest of a manifest that passed."""

    state: str = "new"
    predicted: str = ""
    tries: int = 0
    hints: int = 0
    grants: int | None = None

    def passed(self, grants: int) -> Visit:
        """The visit once a manifest with so many grants has passed."""
        fewest = grants if self.grants is None else min(grants, self.grants)
        return replace(self, state="done", grants=fewest)


@dataclass(frozen=True)
class Progress:
    """The visits by the stops' names."""

    visits: Mapping[str, Visit] = field(default_factory=dict)

    def at(self, stop: str) -> Visit:
        """The visit of a stop."""
        return self.visits.get(stop, Visit())

    def with_(self, stop: str, visit: Visit) -> Progress:
        """The same with another visit of one stop."""
        return Progress({**self.visits, stop: visit})

    def without(self, stop: str) -> Progress:
        """The same as if one stop had never been visited."""
        return Progress({name: visit for name, visit in self.visits.items() if name != stop})

    def next(self, stops: Iterable[str]) -> str | None:
        """The first stop that is neither done nor skipped, else the first that is skipped; else None."""
        names = list(stops)
        left = [name for name in names if self.at(name).state in ("new", "begun")]
        return next(iter(left or [name for name in names if self.at(name).state == "skipped"]), None)

    def text(self) -> str:
        """The file."""
        visits = {name: asdict(visit) for name, visit in self.visits.items()}
        return json.dumps({"version": VERSION, "visits": visits}, indent=1) + "\n"


def parsed(text: str) -> Progress:
    """The progress that a file says. ValueError where it is not one; single visits that are none are left
    out."""
    value = json.loads(text)
    if not isinstance(value, dict) or value.get("version") != VERSION:
        raise ValueError(f"it is not of version {VERSION}")
    visits = value.get("visits")
    if not isinstance(visits, dict):
        raise ValueError("it has no visits")
    return Progress({name: visit for name, raw in visits.items() if (visit := _visit(raw)) is not None})


def _visit(raw: Any) -> Visit | None:
    if not isinstance(raw, dict) or raw.get("state") not in STATES:
        return None
    known = {each.name for each in fields(Visit)}
    visit = Visit(**{key: value for key, value in raw.items() if key in known})
    counts = (visit.tries, visit.hints, 0 if visit.grants is None else visit.grants)
    good = isinstance(visit.predicted, str) and all(type(each) is int and each >= 0 for each in counts)
    return visit if good else None
