"""The layers that the keys of one [[mount]] ask for, from the source to the app in one fixed order.

The order of keys in a table says nothing in TOML, so each key has its place: what is checked before the start
is the tree itself (exec), what limits it is nearest to it (quota, append_only), what counts comes next, then
faults, then what is absent, then the question, then label and type, and the audit sees all of it as the app
does. From Python layers stack in any order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from libos.labels import parse
from libos.manifest import values
from libos.namespace import (
    AppendOnly,
    Ask,
    Audited,
    Counted,
    Faulty,
    Hide,
    Labelled,
    Layer,
    Only,
    Quota,
    Typed,
    Vetted,
)


def layers(raw: Mapping[str, Any], key: str | None = None) -> tuple[Layer, ...]:
    """The layers of one mount's checked raw values; `key` is the host's path of the key that it names."""
    return tuple(_layers(raw, key))


def _layers(raw: Mapping[str, Any], key: str | None) -> Iterator[Layer]:
    if "exec" in raw:
        yield _vetted(raw["exec"], key)
    if "quota" in raw:
        yield Quota(size=_size(raw["quota"], "size"), files=raw["quota"].get("files"))
    if raw.get("append_only"):
        yield AppendOnly()
    if "count" in raw:
        yield _counted(raw["count"])
    if "fault" in raw:
        yield _faulty(raw["fault"])
    if "hide" in raw:
        yield Hide(tuple(raw["hide"]))
    if "only" in raw:
        yield Only(tuple(raw["only"]))
    if ask := raw.get("ask"):
        yield _ask(ask)
    yield from _deciding(raw)
    if raw.get("audit"):
        yield Audited()


def _deciding(raw: Mapping[str, Any]) -> Iterator[Layer]:
    if "label" in raw:
        yield Labelled(str(parse(raw["label"])))
    if "type" in raw:
        yield Typed(raw["type"])


def _vetted(raw: Mapping[str, Any], key: str | None) -> Vetted:
    digests, elf = raw.get("sha256"), raw.get("elf")
    interpreters = None if elf is None else tuple(() if elf is True else elf.get("interpreters", ()))
    return Vetted(None if digests is None else tuple(digests), key, interpreters)


def _counted(raw: Mapping[str, Any]) -> Counted:
    return Counted(
        reads=raw.get("reads"),
        bytes_read=_size(raw, "bytes_read"),
        writes=raw.get("writes"),
        bytes_written=_size(raw, "bytes_written"),
    )


def _ask(raw: Any) -> Ask:
    said = raw is not True and "timeout" in raw
    return Ask(values.duration(raw["timeout"])) if said else Ask()


def _faulty(raw: Mapping[str, Any]) -> Faulty:
    return Faulty(
        seed=raw.get("seed", 0),
        rate=float(raw.get("rate", 0)),
        errors=tuple(raw.get("errors", ("EIO",))),
        short=float(raw.get("short", 0)),
        delay=values.duration(raw["delay"]) if "delay" in raw else 0.0,
        patterns=tuple(raw.get("match", ())),
    )


def _size(raw: Mapping[str, Any], key: str) -> int | None:
    return values.size(raw[key]) if key in raw else None
