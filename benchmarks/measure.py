"""Samples, figures and their table. Pure, but for naming the machine."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import trio

Sample = Callable[[], Awaitable[float]]

# Rounds thrown away: they fill caches and import what is imported late.
WARM_UP = 2


@dataclass(frozen=True)
class Subject:
    """One thing that was measured: its samples, summed up."""

    name: str
    median: float
    p95: float
    samples: int


@dataclass(frozen=True)
class Goal:
    """What a figure must reach. `value` is compared with the ratio to the peer, or with the median itself."""

    value: float
    kind: Literal["at most", "at least"]
    of: Literal["ratio", "median"]

    def met(self, got: float) -> bool:
        return got <= self.value if self.kind == "at most" else got >= self.value


@dataclass(frozen=True)
class Figure:
    """One line of the result: the first subject is libos, the second the peer that the ratio is taken to."""

    what: str
    unit: str
    subjects: Sequence[Subject]
    goal: Goal | None = None
    note: str = ""
    ratio: float | None = field(init=False)

    def __post_init__(self) -> None:
        peer = self.subjects[1].median if len(self.subjects) > 1 else 0.0
        object.__setattr__(self, "ratio", self.subjects[0].median / peer if peer else None)

    @property
    def reached(self) -> bool | None:
        """Whether the goal was met; None where there is none."""
        if self.goal is None:
            return None
        got = self.ratio if self.goal.of == "ratio" else self.subjects[0].median
        return got is not None and self.goal.met(got)

    def json(self) -> dict[str, object]:
        return asdict(self) | {"reached": self.reached}


async def interleaved(
    subjects: Mapping[str, Sample], rounds: int, scale: float = 1.0, pause: float = 0.0
) -> list[Subject]:
    """Sample each subject in turn, `rounds` times and WARM_UP times before, which do not count.

    `pause`: seconds before each sample. The kernel takes namespaces down after their last process has ended,
    and the next subject would pay for that.
    """
    samples: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(WARM_UP + rounds):
        for name, sample in subjects.items():
            await trio.sleep(pause)
            value = await sample() * scale
            if number >= WARM_UP:
                samples[name].append(value)
    return [summed_up(name, values) for name, values in samples.items()]


def summed_up(name: str, values: Sequence[float]) -> Subject:
    """Median and 95th percentile (nearest rank)."""
    ordered = sorted(values)
    return Subject(name, statistics.median(ordered), ordered[-(-95 * len(ordered) // 100) - 1], len(ordered))


def machine() -> dict[str, object]:
    """What a figure depends on and a reader must know."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return {
        "processor": model,
        "processors": len(os.sched_getaffinity(0)),
        "memory_mib": memory,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "user": "root" if os.geteuid() == 0 else "ordinary",
    }


def table(figures: Sequence[Figure]) -> str:
    """The figures as aligned text: one line a subject, the verdict on the first."""
    rows = [("what", "subject", "median", "p95", "unit", "ratio", "goal")]
    for figure in figures:
        for index, subject in enumerate(figure.subjects):
            first = index == 0
            ratio = f"{figure.ratio:.2f}" if first and figure.ratio is not None else ""
            rows.append(
                (
                    figure.what if first else "",
                    subject.name,
                    _number(subject.median),
                    _number(subject.p95),
                    figure.unit,
                    ratio,
                    _verdict(figure) if first else "",
                )
            )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def _verdict(figure: Figure) -> str:
    if figure.goal is None:
        return ""
    goal = f"{figure.goal.kind} {_number(figure.goal.value)}{'x' if figure.goal.of == 'ratio' else ''}"
    return f"{goal}: {'reached' if figure.reached else 'MISSED'}"
