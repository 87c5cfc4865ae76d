"""The picture: places on a plane, complexity to the right and attack surface upwards, as SVG 1.1. Pure.

Rules:
- Every number comes from the surveys; `axes` says what the axes mean.
- No label covers another one, a point or the frame. A label stands at the first free place around its point;
  where there is none, the point has a number and its words stand below the plane.
- Widths of text are estimated from above (no font is asked), so they hold with any sans-serif font.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

# Pixels.
WIDTH, HEIGHT = 760, 500
_LEFT, _TOP, _RIGHT, _BOTTOM = 84, 64, 724, 424
_FONT = 15
_SMALL = 13
_RADIUS = 7
_KEY_LINE = 22
# The widest a character of a sans-serif font is on average, in parts of the font's size.
_CHARACTER = 0.62
# Characters of a label at the most.
_LONGEST = 32
# Distinct for eyes that see colours otherwise too: Okabe and Ito's palette without yellow.
_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_FAMILY = "Helvetica, Arial, 'DejaVu Sans', sans-serif"


@dataclass(frozen=True)
class Point:
    """One place: its name, its complexity (at least 0), its attack surface in percent. Where it is not
    complete there are more files than that."""

    name: str
    complexity: int
    surface: float
    complete: bool = True


@dataclass(frozen=True)
class Box:
    """A rectangle that is taken."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether both cover a common area."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def meets_point(self, x: float, y: float) -> bool:
        """Whether it covers a point."""
        return self.left < x < self.right and self.top < y < self.bottom

    def within(self, other: Box) -> bool:
        """Whether it lies inside."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


@dataclass(frozen=True)
class Label:
    """Text with its box. `x` and `y` lie on its baseline: at its start, middle or end, as `anchor` says, so
    that it stands by its point however wide it comes out."""

    text: str
    box: Box
    x: float
    y: float
    anchor: str


FRAME = Box(_LEFT, _TOP, _RIGHT, _BOTTOM)


def svg(points: Sequence[Point]) -> str:
    """The picture of some places, as a file's text."""
    decades = _decades(points)
    centres = [_centre(point, decades) for point in points]
    labels = placed([_words(point) for point in points], centres)
    beside = [number for number, label in enumerate(labels) if label is None]
    height = HEIGHT + len(beside) * _KEY_LINE + 12 * bool(beside) + 20 * (not _all_complete(points))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
            f'height="{height}" font-family="{_FAMILY}" font-size="{_FONT}">',
            "<title>Complexity and attack surface</title>",
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            _text("Complexity and attack surface of what one program sees", _LEFT, 34, size=18),
            *_axes(decades),
            *_points(centres, labels),
            *_key(points, beside),
            *_stopped(points, height),
            "</svg>",
            "",
        ]
    )


def placed(texts: Sequence[str], centres: Sequence[tuple[float, float]]) -> list[Label | None]:
    """A label for each centre; None where nothing is free."""
    taken = [Box(x - _RADIUS - 2, y - _RADIUS - 2, x + _RADIUS + 2, y + _RADIUS + 2) for x, y in centres]
    found: list[Label | None] = []
    for text, centre in zip(texts, centres, strict=True):
        free = (
            label
            for label in _around(text, centre)
            if label.box.within(FRAME) and not any(label.box.meets(box) for box in taken)
        )
        label = next(free, None)
        if label is not None:
            taken.append(label.box)
        found.append(label)
    return found


def _around(text: str, centre: tuple[float, float]) -> Iterator[Label]:
    """Where a label may stand, the nearest first: right, left, above, below, then aslant."""
    x, y = centre
    height, gap = _FONT * 1.3, _RADIUS + 5
    level = min(max(y - height / 2, FRAME.top), FRAME.bottom - height)
    above, below = y - gap - height, y + gap
    for anchor, at, top in (
        ("start", x + gap, level),
        ("end", x - gap, level),
        ("middle", x, above),
        ("middle", x, below),
        ("start", x, above),
        ("end", x, above),
        ("start", x, below),
        ("end", x, below),
    ):
        yield _label(text, at, top, height, anchor)


def _label(text: str, at: float, top: float, height: float, anchor: str) -> Label:
    width = len(text) * _FONT * _CHARACTER
    left = at - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
    return Label(text, Box(left, top, left + width, top + height), at, top + height * 0.75, anchor)


def _words(point: Point) -> str:
    name = "".join(char if char.isprintable() else "?" for char in point.name)
    name = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
    return f"{name}: {point.complexity:,}{'' if point.complete else '+'} files, {point.surface:.0f}%"


def _decades(points: Sequence[Point]) -> tuple[int, int]:
    """The powers of ten between which all points lie, a whole axis at least."""
    logs = [math.log10(max(1, point.complexity)) for point in points] or [0.0]
    first = math.floor(min(logs))
    return first, max(first + 1, math.ceil(max(logs)))


def _centre(point: Point, decades: tuple[int, int]) -> tuple[float, float]:
    first, last = decades
    along = (math.log10(max(1, point.complexity)) - first) / (last - first)
    return _LEFT + along * (_RIGHT - _LEFT), _BOTTOM - point.surface / 100 * (_BOTTOM - _TOP)


def _axes(decades: tuple[int, int]) -> Iterator[str]:
    first, last = decades
    for power in range(first, last + 1):
        x = _LEFT + (power - first) / (last - first) * (_RIGHT - _LEFT)
        yield _line(x, _TOP, x, _BOTTOM)
        yield _text(f"{10**power:,}", x, _BOTTOM + 20, size=_SMALL, anchor="middle")
    for percent in range(0, 101, 20):
        y = _BOTTOM - percent / 100 * (_BOTTOM - _TOP)
        yield _line(_LEFT, y, _RIGHT, y)
        yield _text(f"{percent}%", _LEFT - 8, y + 4, size=_SMALL, anchor="end")
    yield (
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_RIGHT - _LEFT}" height="{_BOTTOM - _TOP}" fill="none" '
        'stroke="#444444"/>'
    )
    yield _text(
        "complexity: files that it sees", (_LEFT + _RIGHT) / 2, _BOTTOM + 48, size=_FONT, anchor="middle"
    )
    middle = (_TOP + _BOTTOM) / 2
    yield _text("attack surface, in percent of outside", 26, middle, size=_FONT, anchor="middle", turned=True)


def _points(centres: Sequence[tuple[float, float]], labels: Sequence[Label | None]) -> Iterator[str]:
    for number, ((x, y), label) in enumerate(zip(centres, labels, strict=True)):
        colour = _COLOURS[number % len(_COLOURS)]
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_RADIUS}" fill="{colour}"/>'
        if label is None:
            yield _text(f"{number + 1}", x, y + 4, size=11, anchor="middle", fill="#ffffff")
        else:
            yield _text(label.text, label.x, label.y, size=_FONT, anchor=label.anchor)


def _key(points: Sequence[Point], beside: Sequence[int]) -> Iterator[str]:
    for row, number in enumerate(beside):
        y = HEIGHT + 12 + row * _KEY_LINE
        yield _text(f"{number + 1}  {_words(points[number])}", _LEFT, y, size=_FONT)


def _all_complete(points: Sequence[Point]) -> bool:
    return all(point.complete for point in points)


def _stopped(points: Sequence[Point], height: float) -> Iterator[str]:
    """What has to be known of places whose walk was stopped."""
    if not _all_complete(points):
        text = "+: the walk was stopped there, and the shares of such places are no more than a guess"
        yield _text(text, _LEFT, height - 6, size=_SMALL)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#dddddd"/>'


def _text(
    text: str,
    x: float,
    y: float,
    *,
    size: int,
    anchor: str = "start",
    turned: bool = False,
    fill: str = "#222222",
) -> str:
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}"{turn}>'
        f"{escape(text)}</text>"
    )
