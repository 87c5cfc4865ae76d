"""What an app asked for and did not get: each thing once, with how often, why, and what would grant it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

# Different things that are remembered; an app that asks for more learns only how many more there were.
MOST = 1000


@dataclass(frozen=True)
class Denial:
    """One thing that was refused: a "path", a "dial", a "name"; "denied" by the grant that covers it, or
    beyond its "limit"."""

    kind: str
    what: str

    @property
    def why(self) -> str:
        """The reason, in a few words."""
        return _WHY[self.kind]

    @property
    def remedy(self) -> str:
        """The lines of a manifest that would grant it."""
        quoted = json.dumps(self.what, ensure_ascii=False)
        if self.kind == "path":
            return f"[[mount]] at = {quoted}, and what to mount there"
        if self.kind in ("denied", "limit"):
            return "ask for another grant of it" if self.kind == "denied" else "ask for more"
        if self.kind == "dial":
            return f"[[dial]] to = {quoted}"
        return f"[[dial]] to = {json.dumps(f'tcp!{self.what}!PORT', ensure_ascii=False)}"


_WHY = {
    "path": "nothing is mounted there",
    "dial": "no dial grant names this address",
    "name": "no dial grant names this host",
    "denied": "the grant that covers it refuses it",
    "limit": "the grant's limit is reached",
}


def denial_of(kind: str, fields: Mapping[str, object]) -> Denial | None:
    """What an event of a world refused; None where it is no refusal."""
    if kind == "path.absent":
        return Denial("path", str(fields["path"]))
    if kind == "dial.refused":
        host = fields.get("name") or fields["address"]
        return Denial("dial", f"{fields['network']}!{host}!{fields['port']}")
    if kind in ("dial.denied", "dial.limited"):
        return Denial("denied" if kind == "dial.denied" else "limit", str(fields["address"]))
    if kind == "name.absent":
        return Denial("name", str(fields["name"]))
    return None


class Denials:
    """Counts refusals. `note` is told every event of the world."""

    def __init__(self) -> None:
        self._counts: dict[Denial, int] = {}
        self._more = 0

    def note(self, kind: str, fields: Mapping[str, object]) -> None:
        """Count the event where it is a refusal."""
        denial = denial_of(kind, fields)
        if denial is None:
            return
        count = fields.get("count", 1)
        times = count if isinstance(count, int) else 1
        if denial in self._counts or len(self._counts) < MOST:
            self._counts[denial] = self._counts.get(denial, 0) + times
        else:
            self._more += times

    def text(self) -> str:
        """A line each: how often, what, why, what would grant it."""
        lines = [
            f"{count}x {denial.kind} {_one_line(denial.what)}: {denial.why}; {denial.remedy}"
            for denial, count in self._counts.items()
        ]
        if self._more:
            lines.append(f"and {self._more} refusals of other things")
        return "".join(f"{line}\n" for line in lines)

    def json(self) -> str:
        """The same as JSON, version 1."""
        denials = [
            {"kind": each.kind, "what": each.what, "count": count, "why": each.why, "remedy": each.remedy}
            for each, count in self._counts.items()
        ]
        return json.dumps({"version": 1, "denials": denials, "more": self._more}, indent=1) + "\n"


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
