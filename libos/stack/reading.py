"""Reading a stack file: all errors of it and of every manifest in it, in one message.

Rules:
- A [[world]] table is a manifest in place: the keys of one (app, mount, dial, include …) beside those of the
  stack. `manifest = "FILE"` lays that file under them.
- A world that dials the name of another one is linked to it: the other must expose that port, and is started
  first. So nothing connects two worlds but what both of them name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from libos.manifest import values
from libos.manifest.check import judge
from libos.manifest.conflicts import conflicts
from libos.manifest.document import Document, Places
from libos.manifest.including import Loading
from libos.manifest.model import Listen, Manifest
from libos.manifest.positions import Path
from libos.manifest.problems import Problem, error, nearest
from libos.manifest.reading import read_document
from libos.manifest.schema import ManifestFile
from libos.net.granting.target import parse_target
from libos.stack import words
from libos.stack.model import Member, Ready, Restart, Stack, Stop, Strategy, When
from libos.stack.order import CircleError, start_order
from libos.stack.schema import StackFile

_MANIFEST_KEYS = frozenset(ManifestFile.model_fields) - {"libos"}


def load_stack(path: str | os.PathLike[str]) -> Stack:
    """The stack in a file. ManifestError with every error found."""
    name = os.fspath(path)
    document = read_document(name)
    worlds = _tables(document.raw)
    problems = judge(replace(document, raw=_without_manifests(document.raw)), StackFile)
    if problems:
        raise error(problems)
    members = []
    for index, raw in enumerate(worlds):
        manifest, found = _manifest(document, index, raw)
        if not found and manifest.app.command is None:
            message = f'"{raw["name"]}" has no command: write one in [world.app]'
            found.append(document.problem(("world", index), message))
        members.append(_member(raw, manifest, document.origin(("world", index))))
        problems += found
    problems += _world_problems(document, members)
    if problems:
        raise error(problems)
    return _stack(document, _ordered(document, members))


@dataclass(frozen=True)
class _Below:
    """The places of one table of a text."""

    positions: Places
    prefix: Path

    def key(self, path: Path) -> tuple[int, int]:
        return self.positions.key((*self.prefix, *path))

    def value(self, path: Path) -> tuple[int, int]:
        return self.positions.value((*self.prefix, *path))


def _tables(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    worlds = raw.get("world")
    return [each for each in worlds if isinstance(each, dict)] if isinstance(worlds, list) else []


def _without_manifests(raw: Mapping[str, Any]) -> dict[str, Any]:
    worlds = raw.get("world")
    if not isinstance(worlds, list):
        return dict(raw)
    return {**raw, "world": [_stack_keys(each) for each in worlds]}


def _stack_keys(table: Any) -> Any:
    if not isinstance(table, dict):
        return table
    return {key: value for key, value in table.items() if key not in _MANIFEST_KEYS}


def _manifest(document: Document, index: int, raw: Mapping[str, Any]) -> tuple[Manifest, list[Problem]]:
    """The manifest of one world, and what is wrong with it."""
    own = {"libos": 1, **{key: value for key, value in raw.items() if key in _MANIFEST_KEYS}}
    if "manifest" in raw:
        own["include"] = [os.path.join(os.curdir, raw["manifest"]), *_list(own.get("include"))]
    below = None if document.positions is None else _Below(document.positions, ("world", index))
    part = replace(document, raw=own, positions=below)
    loading = Loading()
    loading.chain.append((os.path.realpath(document.source), document.source))
    manifest = loading.checked(part).manifest
    if not loading.problems:
        loading.problems.extend(conflicts(manifest))
    return manifest, loading.problems


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _member(raw: Mapping[str, Any], manifest: Manifest, origin: str) -> Member:
    app = manifest.app
    named = replace(app, hostname=app.hostname or raw["name"])
    ready = _ready(raw["ready"]) if "ready" in raw else None
    listens = manifest.listens
    if ready is not None and ready.port is not None and all(each.port != ready.port for each in listens):
        listens = (*listens, Listen(ready.port, "", 0, origin))  # published nowhere: to hear when it listens
    return Member(
        name=raw["name"],
        manifest=replace(manifest, app=named, listens=listens),
        needs=tuple(dict.fromkeys(raw.get("needs", ()))),
        expose=tuple(dict.fromkeys(raw.get("expose", ()))),
        ready=ready,
        restart=_restart(raw.get("restart", "never")),
        stop=_stop(raw.get("stop", {})),
        origin=origin,
    )


def _ready(raw: Mapping[str, Any]) -> Ready:
    command = raw.get("command")
    return Ready(
        port=raw.get("port"),
        file=raw.get("file"),
        line=raw.get("line"),
        command=None if command is None else tuple(command),
        seconds=values.duration(raw.get("timeout", Ready.seconds)),
    )


def _restart(raw: str | Mapping[str, Any]) -> Restart:
    if isinstance(raw, str):
        return Restart(When(raw))
    seconds = {key: values.duration(raw[key]) for key in ("within", "first", "most") if key in raw}
    return Restart(When(raw["when"]), raw.get("limit", Restart.limit), **seconds)


def _stop(raw: Mapping[str, Any]) -> Stop:
    return Stop(
        words.signal_number(raw["signal"]) if "signal" in raw else Stop.signal,
        values.duration(raw["grace"]) if "grace" in raw else Stop.grace,
    )


def _world_problems(document: Document, members: list[Member]) -> Iterator[Problem]:
    first: dict[str, Member] = {}
    for index, member in enumerate(members):
        at: Path = ("world", index)
        if member.name in first:
            message = f'"{member.name}" is already the name of {first[member.name].origin}'
            yield document.problem((*at, "name"), message)
        first.setdefault(member.name, member)
        if member.ready is not None:
            said = [
                key for key in ("port", "file", "line", "command") if getattr(member.ready, key) is not None
            ]
            if len(said) != 1:
                found = " and ".join(said) or "none"
                message = f"ready is one of port, file, line and command: this one has {found}"
                yield document.problem((*at, "ready"), message)
    for index, member in enumerate(members):
        for place, need in enumerate(member.needs):
            if need not in first or need == member.name:
                message = f'no other world is named "{need}"{nearest(need, first)}'
                yield document.problem(("world", index, "needs", place), message)


def _ordered(document: Document, members: list[Member]) -> list[Member]:
    """The members with their links, in the order in which they start. ManifestError for what cannot be."""
    by_name = {member.name: member for member in members}
    problems: list[Problem] = []
    linked = {}
    for index, member in enumerate(members):
        links, found = _links(document, index, member, by_name)
        problems += found
        needs = dict.fromkeys([*member.needs, *(name for name, _ in links)])
        linked[member.name] = replace(member, needs=tuple(needs), links=tuple(links))
    try:
        order = start_order({name: member.needs for name, member in linked.items()})
    except CircleError as circle:
        index = next(i for i, member in enumerate(members) if member.name == circle.names[0])
        message = f"these need each other: {circle}; none of them can be started first"
        problems.append(document.problem(("world", index), message))
    if problems:
        raise error(problems)
    return [linked[name] for name in order]


def _links(
    document: Document, index: int, member: Member, by_name: Mapping[str, Member]
) -> tuple[list[tuple[str, int]], list[Problem]]:
    links, problems = [], []
    for dial in member.manifest.dials:
        target = parse_target(dial.to)
        other = by_name.get(target.host)
        if other is None:
            continue
        if other is member or target.network != "tcp" or dial.via is not None:
            message = f'"{dial.to}": a link leads by tcp to another world, and by no other way'
            problems.append(document.problem(("world", index, "dial"), message))
            continue
        for port in target.each_port():
            if port in other.expose:
                links.append((other.name, port))
            else:
                message = (
                    f'"{other.name}" does not expose port {port}: write expose = [{port}] in its [[world]]'
                )
                problems.append(document.problem(("world", index, "dial"), message))
    return links, problems


def _stack(document: Document, members: list[Member]) -> Stack:
    raw = document.raw.get("stack", {})
    stem = os.path.basename(document.source).removesuffix(".toml")
    name = raw.get("name") or "".join(char if char.isalnum() else "-" for char in stem.lower()).strip("-")
    logs = raw.get("logs", {})
    return Stack(
        name=words.world(name[:31].strip("-") or "stack"),
        members=tuple(members),
        strategy=Strategy(raw.get("strategy", Strategy.ONE_FOR_ONE)),
        log_size=values.size(logs["size"]) if "size" in logs else Stack.log_size,
        log_files=logs.get("files", Stack.log_files),
        source=os.path.abspath(document.source),
    )
