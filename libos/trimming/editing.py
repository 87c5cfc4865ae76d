"""A manifest's text without some of its grants; everything else stays as it is written.

Rules:
- An entry of the file goes with the comment lines that stand right above it; other comments stay.
- What an include brings is taken away by an entry "-NAME" of the include list.
- The result is checked: it is TOML, and says what the text said less those grants.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from libos.errors import ManifestError
from libos.manifest.descriptors import PLACE
from libos.manifest.listening import listen
from libos.manifest.positions import Path, Positions
from libos.manifest.values import place
from libos.trimming.grants import Grant

# Where the entries of each kind stand in a file.
_TABLES = {
    "mount": "mount",
    "channel": "channel",
    "descriptor": "descriptor",
    "dial": "dial",
    "listen": "listen",
}

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
# Entries of an include list that stand in one line.
_IN_ONE_LINE = 4


def removable(text: str, grant: Grant) -> bool:
    """Whether a file can be without a grant: a call that an included file allows stays allowed."""
    return grant.kind != "syscall" or grant.name in _allowed(tomllib.loads(text))


def edited(text: str, gone: Collection[Grant]) -> str:
    """The text without some grants. ManifestError where it cannot be written so."""
    if not gone:
        return text
    raw = tomllib.loads(text)
    positions = Positions(text)
    entries = {(grant.kind, _index(positions, raw, grant)) for grant in gone if grant.line is not None}
    names = [grant.name for grant in gone if grant.line is None and grant.kind != "syscall"]
    calls = [grant.name for grant in gone if grant.kind == "syscall"]
    made = _in_arrays(_cut(text, raw, entries), raw, entries, names, calls)
    if tomllib.loads(made) != _expected(raw, entries, names, calls):
        raise ManifestError("the manifest is written in a way that cannot be shortened; shorten it by hand")
    return made


def _index(positions: Positions, raw: Mapping[str, Any], grant: Grant) -> int:
    """Which entry of its kind a grant is."""
    entries = raw[_TABLES[grant.kind]]
    for number, entry in enumerate(entries):
        if (
            positions.value((_TABLES[grant.kind], number))[0] == grant.line
            and _name(grant.kind, entry) == grant.name
        ):
            return number
    raise ManifestError(f"{grant}: is not in line {grant.line} any more; was the manifest changed meanwhile?")


def _name(kind: str, entry: Mapping[str, Any]) -> str:
    if kind in ("mount", "channel"):
        return place(entry["at"])
    if kind == "descriptor":
        return f"{PLACE}/{entry['name']}"
    if kind == "listen":
        return listen(entry, "").name
    from libos.net.granting.target import parse_target

    return str(parse_target(entry["to"]))


def _cut(text: str, raw: Mapping[str, Any], entries: Iterable[tuple[str, int]]) -> str:
    """The text without entries that are tables of their own, [[mount]]."""
    lines = _LINE.findall(text)
    heads = dict(_heads(text, raw, lines))
    starts = {path: line for line, path in heads.items()}
    gone: set[int] = set()
    for kind, number in entries:
        start = starts.get((_TABLES[kind], number))
        if start is not None:
            gone.update(_block(lines, heads, start, (_TABLES[kind], number)))
    kept = [line for number, line in enumerate(lines) if number not in gone]
    while kept and len(lines) - 1 in gone and not kept[-1].strip():
        kept.pop()
    return "".join(kept)


def _heads(text: str, raw: Mapping[str, Any], lines: list[str]) -> Iterator[tuple[int, Path]]:
    """The line of each table's header, counted from 0, and whose it is."""
    positions = Positions(text)
    for path in _tables(raw, ()):
        line = positions.value(path)[0] - 1
        if lines[line].lstrip().startswith("["):
            yield line, path


def _tables(value: Any, path: Path) -> Iterator[Path]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        if isinstance(inner, dict):
            yield (*path, key)
        yield from _tables(inner, (*path, key))


def _block(lines: list[str], heads: Mapping[int, Path], start: int, path: Path) -> range:
    """The lines of an entry: the comments right above it, to its last line that is no comment; and the blank
    lines after it, where one stands before it."""
    end = min((at for at, whose in heads.items() if at > start and whose[:2] != path), default=len(lines))
    while end > start + 1 and _says_nothing(lines[end - 1]):
        end -= 1
    while start > 0 and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    if start == 0 or not lines[start - 1].strip():
        while end < len(lines) and not lines[end].strip():
            end += 1
    return range(start, end)


def _says_nothing(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _in_arrays(
    text: str,
    raw: Mapping[str, Any],
    entries: Iterable[tuple[str, int]],
    names: Collection[str],
    calls: Iterable[str],
) -> str:
    """The text with what stands in arrays changed: inline entries, the include list, calls."""
    import tomlkit

    document: Any = tomlkit.parse(text)
    for kind, number in sorted(entries, reverse=True):
        array = document.get(_TABLES[kind])
        if array is not None and not isinstance(array, tomlkit.items.AoT):
            del array[number]
    for name in names:
        document["include"].append(f"-{name}")
    if names and len(document["include"]) > _IN_ONE_LINE:
        document["include"].multiline(True)
    for call in calls:
        document["syscalls"]["allow"].remove(call)
    made: str = tomlkit.dumps(document)
    return made


def _expected(
    raw: Mapping[str, Any],
    entries: Collection[tuple[str, int]],
    names: Iterable[str],
    calls: Iterable[str],
) -> Mapping[str, Any]:
    expected: dict[str, Any] = copy.deepcopy(dict(raw))
    for kind, number in sorted(entries, reverse=True):
        del expected[_TABLES[kind]][number]
    for table in _TABLES.values():
        if table in expected and not expected[table] and any(_TABLES[kind] == table for kind, _ in entries):
            del expected[table]
    for name in names:
        expected["include"].append(f"-{name}")
    for call in calls:
        expected["syscalls"]["allow"].remove(call)
    return expected


def _allowed(raw: Mapping[str, Any]) -> list[str]:
    return list(raw.get("syscalls", {}).get("allow", ()))
