"""What was found of each grant, for people and as JSON. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from libos.harmless import harmless
from libos.trimming.grants import Grant

# The version of the JSON form; within one, keys are only added.
VERSION = 1
HEAD = ("GRANT", "", "ASKED FOR BY", "USED", "RESULT")
# "kept" was used, and "unused" was not, by a recorded run; "needed" and "dropped" were tried.
Result = Literal["kept", "unused", "needed", "dropped"]


@dataclass(frozen=True)
class Finding:
    """One grant: how often the run used it, by operation (None where nothing tells), and what comes of it.
    `why` is what happened without it."""

    grant: Grant
    uses: Counter[str] | None
    result: Result
    why: str = ""

    @property
    def goes(self) -> bool:
        """Whether the manifest can do without it."""
        return self.result in ("unused", "dropped")


def rows(found: Iterable[Finding]) -> list[tuple[str, ...]]:
    """The table's rows."""
    return [tuple(map(harmless, _row(each))) for each in found]


def _row(finding: Finding) -> tuple[str, ...]:
    grant = finding.grant
    return grant.kind, grant.name, grant.origin, _used(finding.uses), _result(finding)


def _used(uses: Counter[str] | None) -> str:
    if uses is None:
        return "-"
    return ", ".join(sorted(uses)) or "never"


def _result(finding: Finding) -> str:
    if finding.goes:
        return "can go"
    return f"needed: {finding.why}" if finding.result == "needed" else "kept"


def summary(found: Sequence[Finding]) -> str:
    """How many grants can go."""
    gone = sum(each.goes for each in found)
    many = f"{gone} of {len(found)} {'grant' if len(found) == 1 else 'grants'}"
    return f"{many} can go" if gone else f"none of {len(found)} can go: the manifest is as short as it can be"


def time_left(seconds: float) -> str:
    """An estimate as people say it."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def findings_json(found: Iterable[Finding], runs: int, seconds: float) -> Mapping[str, Any]:
    """All of it as JSON values."""
    return {
        "version": VERSION,
        "runs": runs,
        "seconds": round(seconds, 3),
        "grants": [
            {
                "kind": each.grant.kind,
                "name": each.grant.name,
                "origin": each.grant.origin,
                "uses": None if each.uses is None else dict(each.uses),
                "result": each.result,
                "why": each.why or None,
            }
            for each in found
        ],
    }
