"""Where a line belongs in a manifest's text. Pure.

Rule: a comment belongs to what follows it, unless it follows a key's line at once and an empty line follows
it. tomlkit keeps a comment with the table before, so what it adds would come between a comment and what that
is about.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from libos.manifest.positions import Path, Positions


def with_entry(text: str, kind: str, entry: list[str]) -> str:
    """The text with one more [[kind]] after the last one, which is there, an empty line before it."""
    last = len(tomllib.loads(text)[kind]) - 1
    lines = text.split("\n")
    at = _end(text, lines, (kind, last), within=kind)
    after = [""] if at < len(lines) and lines[at].strip() else []
    return _inserted(lines, at, ["", *entry, *after])


def with_key(text: str, table: Path, line: str) -> str:
    """The text with one more key at the end of a table that has a header of its own."""
    lines = text.split("\n")
    return _inserted(lines, _end(text, lines, table, within=None), [line])


def with_end(text: str, new: list[str]) -> str:
    """The text with a table at its end, an empty line before it."""
    end = "\r\n" if "\r\n" in text else "\n"
    before = text if not text or text.endswith("\n") else f"{text}{end}"
    gap = end if before.strip() and not before.endswith(end * 2) else ""
    return before + gap + "".join(f"{line}{end}" for line in new)


def has_header(text: str, table: Path) -> bool:
    """Whether a table is written with a header, and not as an inline table or by dotted keys."""
    return any(path == table for _, path in _headers(text))


def _inserted(lines: list[str], at: int, new: list[str]) -> str:
    end = "\r" if lines[0].endswith("\r") else ""
    if at == len(lines):  # the last line has no end
        lines = [*lines[:-1], f"{lines[-1]}{end}", ""]
    return "\n".join([*lines[:at], *(f"{line}{end}" for line in new), *lines[at:]])


def _end(text: str, lines: list[str], table: Path, within: str | None) -> int:
    """The line after the last key of a table; with `within`, of all tables of that name that follow it."""
    headers = sorted(_headers(text))
    start = next(line for line, path in headers if path == table)
    after = (line for line, path in headers if line > start and (within is None or path[0] != within))
    stop = next(after, len(lines))
    last = max(at for at in range(start, stop) if (said := lines[at].strip()) and not said.startswith("#"))
    comment = last
    while comment + 1 < stop and lines[comment + 1].strip().startswith("#"):
        comment += 1
    # A comment right above the next header is that one's.
    return (last if comment + 1 == stop < len(lines) else comment) + 1


def _headers(text: str) -> Iterator[tuple[int, Path]]:
    """Each header's line, from 0, and the path of its table."""
    positions, lines = Positions(text), text.split("\n")
    for path in _tables((), tomllib.loads(text)):
        line, column = positions.value(path)
        if lines[line - 1][: column - 1].strip() == "" and lines[line - 1][column - 1 : column] == "[":
            yield line - 1, path


def _tables(path: Path, value: Any) -> Iterator[Path]:
    if isinstance(value, dict):
        if path:
            yield path
        for key, inner in value.items():
            yield from _tables((*path, key), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _tables((*path, index), inner)
