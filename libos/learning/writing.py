"""A learned manifest as TOML text, with a comment on each line that says why it is there; and merging.

Merging takes nothing away: it adds mounts, dials, listens and calls, makes a mount writable that must be, and
raises limits. What a person wrote, comments too, stays (tomlkit).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tomlkit
from tomlkit.items import AoT, Array, String, StringType, Table, Trivia

from libos.harmless import harmless
from libos.learning.folding import Grant
from libos.learning.learned import INCLUDE, Learned
from libos.learning.widening import within
from libos.listening import NOWHERE
from libos.manifest.values import size
from libos.why.remedies import is_text, quoted

# Modes of a host mount, each of which can do what the ones before can.
_MODES = ("read-only", "copy-on-write", "read-write")
_MEMORY = "64M"
# Why a port is there, by whether it was published.
_LISTENED = {
    True: "the program listened there; published as -p said",
    False: "the program listened there, and no -p published it",
}


def text(learned: Learned, when: str) -> str:
    """The whole manifest; `when` is written in its head."""
    document = tomlkit.document()
    document.add(tomlkit.comment(_shown(f"Learned by `libos learn` {when}; each line says why it is there.")))
    if learned.incomplete:
        document.add(tomlkit.comment(_shown(f"INCOMPLETE: {learned.incomplete}.")))
    document["libos"] = 1
    document["include"] = _listed((name, "") for name in INCLUDE)
    document["include"].comment("short tables of /etc and an empty /tmp, without all of /usr")
    document["app"] = _app(learned)
    document["syscalls"] = syscalls = tomlkit.table()
    syscalls["profile"] = "strict"
    if learned.allow:
        syscalls["allow"] = _listed(learned.allow.items())
    _add_limits(document, learned)
    _add_entries(document, learned.grants, learned.dials)
    _add_listens(document, learned.listens)
    return tomlkit.dumps(document)


def merged(before: str, learned: Learned, when: str) -> str:
    """A manifest's text with what a further run has taught."""
    document = tomlkit.parse(before)
    document.add(tomlkit.nl())
    document.add(tomlkit.comment(_shown(f"Merged {when}: {' '.join(learned.command.words)}")))
    mounts, dials = _entries(document, "mount"), _entries(document, "dial")
    grants = [grant for grant in learned.grants if not _widened(mounts, grant)]
    known = {str(each.get("to")) for each in dials}
    _add_entries(document, grants, {to: why for to, why in learned.dials.items() if to not in known})
    listens = _entries(document, "listen")
    _add_listens(
        document, {port: at for port, at in learned.listens.items() if not _published(listens, port, at)}
    )
    table = document.get("syscalls")
    if table is not None and learned.allow:
        allow = table.setdefault("allow", tomlkit.array())
        for name in learned.allow:
            if name not in allow:
                allow.append(name)
    limits = document.get("limits", {})
    for name, (value, why) in learned.limits.items():
        if name in limits and _number(limits[name]) < value:
            limits[name] = f"{value >> 20}M" if name == "memory" else value
            limits[name].comment(_shown(why))
    return tomlkit.dumps(document)


def _widened(mounts: Iterable[Any], grant: Grant) -> bool:
    """Whether a mount that is there gives what a grant would; it is made writable for that."""
    for mount in mounts:
        at = str(mount.get("at"))
        if grant.memory or "memory" in mount:
            if "memory" in mount and within(grant.at, at):
                return True
        elif at == grant.at or (grant.mode == _MODES[0] and within(grant.at, at)):
            mode = str(mount.get("mode", _MODES[0]))
            if _MODES.index(grant.mode) > _MODES.index(mode):
                mount["mode"] = grant.mode
            return True
    return False


def _number(value: int | str) -> int:
    """A limit as a number: sizes may be texts, as "64M"."""
    return value if isinstance(value, int) else size(value)


def _entries(document: Any, key: str) -> list[Any]:
    found = document.get(key)
    return list(found) if isinstance(found, (AoT, Array)) else []


def _app(learned: Learned) -> Table:
    table = tomlkit.table()
    command = learned.command
    table["command"] = _listed((word, "") for word in command.words)
    if _stands(learned, command.directory):
        table["directory"] = _text(command.directory)
        table["directory"].comment("where it was learned")
    environment = tomlkit.inline_table()
    environment.update({name: _text(value) for name, value in command.environment.items()})
    table["environment"] = environment
    environment.comment("taken over from the environment in which it was learned")
    return table


def _stands(learned: Learned, directory: str) -> bool:
    """Whether a directory will be there: something is mounted at, below or above it."""
    covered = any(
        within(grant.at, directory) or (within(directory, grant.at) and not grant.memory)
        for grant in learned.grants
    )
    return covered or directory == "/tmp"  # noqa: S108 - the world's own


def _add_limits(document: Any, learned: Learned) -> None:
    if not learned.limits:
        return
    document["limits"] = table = tomlkit.table()
    for name, (value, why) in learned.limits.items():
        table[name] = f"{value >> 20}M" if name == "memory" else value
        table[name].comment(_shown(why))


def _add_entries(document: Any, grants: Iterable[Grant], dials: dict[str, str]) -> None:
    for grant in grants:
        table = tomlkit.table()
        table["at"] = _text(grant.at)
        table["at"].comment(_shown(grant.why))
        if grant.memory:
            table["memory"] = _MEMORY
        else:
            table["host"] = _text(grant.source or grant.at)
            if grant.mode != _MODES[0]:
                table["mode"] = grant.mode
            if grant.hide:
                table["hide"] = _listed((_pattern(name), "") for name in grant.hide)
        _append(document, "mount", table)
    for to, why in dials.items():
        table = tomlkit.table()
        table["to"] = _text(to)
        table["to"].comment(_shown(why))
        _append(document, "dial", table)


def _add_listens(document: Any, listens: dict[int, str]) -> None:
    for port, published in listens.items():
        table = tomlkit.table()
        table["port"] = port
        table["publish"] = False if published == NOWHERE else published
        table["port"].comment(_LISTENED[published != NOWHERE])
        _append(document, "listen", table)


def _published(entries: list[Any], port: int, published: str) -> bool:
    """Whether a port has an entry, which is published now where it was not before."""
    entry = next((each for each in entries if each.get("port") == port), None)
    if entry is None:
        return False
    if entry.get("publish") is False and published != NOWHERE:
        entry["publish"] = published
        entry["port"].comment(_LISTENED[True])
    return True


def _append(document: Any, key: str, table: Table) -> None:
    if key not in document:
        document[key] = tomlkit.aot()
    document[key].append(table)
    table.trivia.indent = "\n"  # a blank line before its head


def _listed(entries: Iterable[tuple[str, str]]) -> Array:
    """An array, a line an entry where any has a comment."""
    pairs = list(entries)
    array = tomlkit.array()
    for value, why in pairs:
        if why:
            array.add_line(_text(value), comment=_shown(why))
        else:
            array.append(_text(value))
    if any(why for _, why in pairs):
        array.add_line(indent="")
    return array


def _text(value: str) -> String:
    """A text as it is written: what cannot be seen in it is escaped, for who reads the file."""
    return String(StringType.SLB, value, quoted(value)[1:-1], Trivia())


def _pattern(name: str) -> str:
    """A path below the mount as a pattern of gitignore(5) that means it, and no more than must be besides: a
    pattern has no line's end, and is UTF-8 in a manifest."""
    return f"/{''.join(map(_matching, name))}"


def _matching(char: str) -> str:
    if char in "*?[]\\!# ":
        return f"\\{char}"
    return "?" if char == "\n" or not is_text(char) else char


def _shown(why: str) -> str:
    """A comment of one line, whatever a name in it holds."""
    return harmless(why)
