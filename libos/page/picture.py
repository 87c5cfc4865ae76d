"""The time line as a picture: bars by lane and step of time. Pure.

Rules: a bar's height is the logarithm of its count, so that one event is seen beside a thousand; each lane
says its sum in words, which is also what a reader without the picture is told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from libos.page.words import duration
from libos.seen import Seen

# Pixels, at the picture's own size: the labels, the bars, one lane, the axis.
LEFT = 150
WIDTH = 800
LANE = 34
AXIS = 22
# Pixels of the highest bar and of the lowest.
_HIGHEST = 28
_LOWEST = 3
# Marks on the axis, about.
_MARKS = 8

# What `libos.seen.timeline` counts: its word there, ours, the class that colours it.
_LANES = (
    ("files", "files used", "used"),
    ("connections", "connections", "changed"),
    ("absent", "not there", "absent"),
    ("refused", "refused, failed", "refused"),
)


@dataclass(frozen=True)
class Bar:
    """One step of time in one lane."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Lane:
    """One lane: its words, its colour, how much is in it, where it stands."""

    label: str
    sort: str
    total: int
    base: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Picture:
    """All of it, `seconds` long; `marks` are places on the axis with their labels."""

    lanes: tuple[Lane, ...]
    marks: tuple[tuple[float, str], ...]
    seconds: float
    height: int

    @property
    def said(self) -> str:
        """The picture in words."""
        return f"{duration(self.seconds)}: " + ", ".join(
            f"{lane.label} {lane.total:,}" for lane in self.lanes
        )


def picture(seen: Seen) -> Picture:
    """Draw what has happened until now."""
    steps = seen.timeline.counts
    seconds = len(steps) * seen.timeline.step
    highest = max((count for each in steps for count in each.values()), default=1)
    lanes = tuple(
        Lane(
            label,
            sort,
            sum(each[what] for each in steps),
            (number + 1) * LANE,
            tuple(_bars(seen, what, (number + 1) * LANE, highest)),
        )
        for number, (what, label, sort) in enumerate(_LANES)
    )
    return Picture(lanes, tuple(_axis(seconds)), seconds, len(lanes) * LANE + AXIS)


def _bars(seen: Seen, what: str, base: int, highest: int) -> Iterator[Bar]:
    steps, step = seen.timeline.counts, seen.timeline.step
    width = WIDTH / len(steps) if steps else WIDTH
    for index, counts in enumerate(steps):
        if count := counts[what]:
            share = math.log1p(count) / math.log1p(highest)
            height = round(_LOWEST + (_HIGHEST - _LOWEST) * share, 1)
            thick = round(max(min(width * 0.85, 14), 1.5), 2)
            title = f"{count:,} at {duration(index * step)}"
            yield Bar(round(LEFT + index * width, 2), base - height, thick, height, title)


def _axis(seconds: float) -> Iterator[tuple[float, str]]:
    if seconds <= 0:
        return
    rough = seconds / _MARKS
    power = 10.0 ** math.floor(math.log10(rough))
    between = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    for number in range(int(seconds / between) + 1):
        at = number * between
        yield round(LEFT + at / seconds * WIDTH, 2), "0" if number == 0 else duration(at)
