"""The keys of one [[channel]], made into a mount."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from libos.manifest import values
from libos.manifest.document import Document
from libos.manifest.problems import Problem, already_mounted
from libos.namespace import ChannelSource, Mode, Mount

# What limits a direction: both are said, or none.
_PAIRS = (("gets", "get_size"), ("puts", "put_size"))


def channel(raw: Mapping[str, Any], path: str | None, origin: str) -> Mount:
    """The mount of one channel, from its raw values; `path` is what its `host` names."""
    source = ChannelSource(
        path=path,
        gets=raw.get("gets", 0),
        get_size=values.amount(raw.get("get_size", 0)),
        puts=raw.get("puts", 0),
        put_size=values.amount(raw.get("put_size", 0)),
        random_get=raw.get("get") == "random",
        random_put=raw.get("put") == "random",
    )
    return Mount(raw["at"], source, Mode.READ_WRITE if source.puttable else Mode.READ_ONLY, origin=origin)


def channel_problems(document: Document) -> Iterator[Problem]:
    """What the keys of a channel say together and cannot, each being right by itself."""
    first: dict[object, str] = {}
    entries = document.raw.get("channel")
    for index, raw in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(raw, dict):
            continue
        path = ("channel", index)
        for pair in _PAIRS:
            if len(said := [key for key in pair if key in raw]) == 1:
                other = pair[said[0] == pair[0]]
                message = f'"{said[0]}" says one limit of two: write "{other}" too'
                yield document.problem((*path, said[0]), message, at_key=True)
        if not any(raw.get(pair[0]) for pair in _PAIRS):
            yield document.problem(path, "nothing may pass through this channel: write gets or puts")
        if isinstance(at := raw.get("at"), str):
            if at in first:
                yield document.problem(path, already_mounted(at, first[at]))
            first.setdefault(at, document.origin(path))
