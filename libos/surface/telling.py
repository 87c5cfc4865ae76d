"""Surveys side by side: the table, its notes and its JSON form. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from libos.harmless import harmless
from libos.surface.axes import attack_surface, complexity, doors, outside_of
from libos.surface.survey import ROWS, VERSION, Row, Survey, number, share, survey_json

# What is told of a place that was not measured, in each row.
_UNKNOWN = "-"
# Of shared namespaces so many are named.
_NAMED = 3
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
# Percents below this are told as such.
_LEAST = 0.001
# Keys whose numbers a stopped walk knows only from below.
_WALKED = frozenset(
    ("files", "bytes", "writable", "writable_bytes", "makeable", "copies", "programs", "setuid")
    + ("setuid_works", "devices", "sockets", "unreadable")
)


def table(found: Sequence[Survey]) -> str:
    """The rows, a column a place; then how each place was made."""
    outside = outside_of(found)
    head = ["", *(harmless(each.place) for each in found)]
    rows = [[row.words, *(_cell(row, each, outside) for each in found)] for row in ROWS]
    rows.append(["attack surface", *(_surface(each, outside) for each in found)])
    made = [harmless(f"{each.place}: {each.about}") for each in found]
    return "\n".join([*_aligned([head, *rows]), "", *made])


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Words to the left, numbers to the right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for words, *cells in rows:
        numbers = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([words.ljust(widths[0]), *numbers]).rstrip()


def _cell(row: Row, survey: Survey, outside: Survey | None) -> str:
    if survey.problem is not None:
        return _UNKNOWN
    count = number(survey, row.key)
    text = size(count) if row.bytes else f"{count:,}"
    if not survey.complete and row.key in _WALKED:
        text += "+"
    if row.key == "system_calls" and survey.system_calls_checked:
        text += f", {survey.system_calls_checked} by arguments"
    if row.key == "shared_namespaces" and 0 < count <= _NAMED:
        text += f" ({', '.join(survey.shared_namespaces)})"
    if row.share and outside is not None and survey is not outside and survey.complete and outside.complete:
        part = share(count, number(outside, row.key))
        text += "" if part is None or not count else f" ({percent(part)})"
    return text


def _surface(survey: Survey, outside: Survey | None) -> str:
    if survey.problem is not None or outside is None or not (survey.complete and outside.complete):
        return _UNKNOWN
    return percent(attack_surface(survey, outside))


def size(count: int) -> str:
    """Bytes in the largest unit that leaves a whole number of them, with three digits."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 or value >= 100 else f"{value:.3g} {_UNITS[unit]}"


def percent(part: float) -> str:
    """Two digits of a percentage: 0.055%, 8.1%, 43%."""
    if 0 < part < _LEAST:
        return f"under {_LEAST}%"
    return f"{part:.0f}%" if part >= 10 else f"{part:.2g}%"


def notes(found: Sequence[Survey]) -> list[str]:
    """What a reader has to know of the numbers."""
    said = [f"{each.place}: {note}" for each in found for note in each.notes]
    cut = [each.place for each in found if not each.complete]
    if cut:
        said.append(f"the walk was stopped ({', '.join(cut)}): numbers with + are what was found until then")
    return said


def closing(found: Sequence[Survey]) -> list[str]:
    """The line that matters most, for each place that was asked for: what part of all files it shows."""
    outside = outside_of(found)
    if outside is None or not outside.files:
        return []
    whole, most = ("", "") if outside.complete else ("at least ", "at most ")
    shown = [each for each in found if each.needed and each.problem is None and each.complete]
    return [
        f"{harmless(each.place)} shows {each.files:,} of {whole}{outside.files:,} files: "
        f"{most}{percent(100 * each.files / outside.files)}"
        for each in shown
    ]


def surveys_json(found: Sequence[Survey]) -> dict[str, Any]:
    """All numbers, with both axes where there is an outside to compare with."""
    outside = outside_of(found)
    return {"version": VERSION, "places": [_place_json(each, outside) for each in found]}


def _place_json(survey: Survey, outside: Survey | None) -> dict[str, Any]:
    said = dict(survey_json(survey))
    if outside is None or survey.problem is not None:
        return said
    part = share(survey.files, outside.files)
    return said | {
        "files_percent": None if part is None else round(part, 4),
        "complexity": complexity(survey),
        "attack_surface_percent": round(attack_surface(survey, outside), 2),
        "doors": {key: round(value, 4) for key, value in doors(survey, outside).items()},
    }
