"""The keys of one [[descriptor]], made into a mount: a channel without limits that is open at the start."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from libos.manifest.document import Document
from libos.manifest.problems import Problem
from libos.namespace import ChannelSource, Mode, Mount

# Where a descriptor's file stands until the program has given up names.
PLACE = "/mnt/fd"
# The descriptor by which it does that.
ENTER = "enter"
# What sd_listen_fds_with_names(3) can tell apart, and what a variable of a shell can be called.
_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,47}"


def name(value: str) -> str:
    """The name of a descriptor."""
    if re.fullmatch(_NAME, value) is None:
        raise ValueError(f'"{value}" is no name of a descriptor: write letters, digits and "_", as "input"')
    if value == ENTER:
        raise ValueError(f'"{ENTER}" is the descriptor by which names are given up: choose another name')
    return value


def descriptor(raw: Mapping[str, Any], path: str | None, origin: str) -> Mount:
    """The mount of one descriptor, from its raw values; `path` is what its `host` names."""
    rights = frozenset(raw["rights"])
    gets, puts = None if "read" in rights else 0, None if rights & {"append", "write"} else 0
    seeks = "seek" in rights
    source = ChannelSource(
        path, gets, gets, puts, puts, seeks and gets is None, "write" in rights, descriptor=raw["name"]
    )
    mode = Mode.READ_WRITE if source.puttable else Mode.READ_ONLY
    return Mount(f"{PLACE}/{raw['name']}", source, mode, origin=origin)


def descriptor_problems(document: Document) -> Iterator[Problem]:
    """What the keys of a descriptor say together and cannot, each being right by itself."""
    first: dict[object, str] = {}
    entries = document.raw.get("descriptor")
    for index, raw in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(raw, dict):
            continue
        path = ("descriptor", index)
        said = raw.get("rights")
        rights = {each for each in said if isinstance(each, str)} if isinstance(said, list) else set()
        if why := _wrong(rights):
            yield document.problem((*path, "rights"), why)
        if (name := raw.get("name")) in first:
            yield document.problem(path, f'"{name}" is a descriptor of {first[name]} already')
        elif isinstance(name, str):
            first[name] = document.origin(path)


def _wrong(rights: set[str]) -> str | None:
    if {"append", "write"} <= rights:
        return "what is written anywhere is not appended: write one of append and write"
    if "write" in rights and "seek" not in rights:
        return 'to write anywhere takes "seek" too; "append" does without'
    if "append" in rights and "seek" in rights:
        return 'what is appended has no place to seek: write ["read", "seek"] for another descriptor of it'
    return None if rights != {"seek"} else 'to seek alone is nothing: write "read" or "write" too'
