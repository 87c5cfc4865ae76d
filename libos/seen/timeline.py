"""When things happened: counts by kind of thing, in steps of time that widen as a run grows longer. Pure."""

from __future__ import annotations

from collections import Counter

# Steps at the most; when a run outgrows them, two become one.
MOST = 240
# Seconds of a step at first.
_FIRST_STEP = 0.01


class Timeline:
    """Counts in at most MOST steps of `step` seconds from `start`. What is told out of order counts for the
    first or last step."""

    def __init__(self) -> None:
        self.start: float | None = None
        self.step = _FIRST_STEP
        self.counts: list[Counter[str]] = []

    def add(self, time: float, what: str, count: int = 1) -> None:
        """Count something."""
        if self.start is None:
            self.start = time
        at = max(0, int((time - self.start) / self.step))
        while at >= MOST:
            self.counts = [_sum(self.counts[i : i + 2]) for i in range(0, len(self.counts), 2)]
            self.step *= 2
            at = int((time - self.start) / self.step)
        while len(self.counts) <= at:
            self.counts.append(Counter())
        self.counts[at][what] += count


def _sum(counts: list[Counter[str]]) -> Counter[str]:
    return sum(counts, Counter())
