"""All checks of an attempt together, and how few grants it took. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from libos.tour.checks import Checked, Seen


@dataclass(frozen=True)
class Verdict:
    """An attempt at a stop: `error` says why nothing could be tried; `grants` is how many the manifest has,
    those of its includes too, and `par` how many the stop's own solution has. `seen` has the runs that were
    judged, by their names."""

    stop: str
    checked: tuple[Checked, ...] = ()
    grants: int = 0
    par: int = 0
    error: str = ""
    seen: Mapping[str, Seen] = field(default_factory=dict, compare=False)

    @property
    def passed(self) -> bool:
        """Whether every check holds."""
        return not self.error and bool(self.checked) and all(each.outcome == "holds" for each in self.checked)

    @property
    def broken(self) -> bool:
        """Whether the stop itself is at fault, and no manifest could pass."""
        return any(each.outcome == "broken" for each in self.checked)

    def value(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        return {
            "stop": self.stop,
            "passed": self.passed,
            "grants": self.grants,
            "par": self.par,
            "error": self.error or None,
            "checks": [
                {
                    "says": each.check.says,
                    "run": each.check.run,
                    "outcome": each.outcome,
                    "why": each.why or None,
                }
                for each in self.checked
            ],
        }


def score(grants: int, par: int) -> str:
    """What is said of the number of grants: the fewest win."""
    many = f"{grants} grant{'s' if grants != 1 else ''}"
    if grants < par:
        return f"{many}: fewer than the tour's own solution, which has {par}"
    return f"{many}: none to spare" if grants == par else f"{many}: {par} are enough"
