"""From checked raw values (what tomllib gives) to the frozen values of `libos.manifest.model`.

The input was checked by `libos.manifest.check`, or is one of libos' own profiles, which the tests check: so
nothing here looks for errors, and no validation library is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from libos.manifest import values
from libos.manifest.channels import channel
from libos.manifest.descriptors import descriptor
from libos.manifest.dialing import dial
from libos.manifest.layering import layers
from libos.manifest.limiting import limits
from libos.manifest.listening import listen
from libos.manifest.model import Allow, App, Domain, Labels, Manifest, Network, Syscalls
from libos.manifest.paths import absolute
from libos.manifest.web import secret
from libos.namespace import (
    BoundSource,
    BytesSource,
    FunctionSource,
    HostSource,
    ImageSource,
    MemorySource,
    Mode,
    Mount,
    NodeSource,
    Order,
    P9Source,
    ServiceSource,
    Source,
    TextSource,
)

Origin = Callable[[tuple[str | int, ...]], str]


def build(raw: Mapping[str, Any], *, base: str, origin: Origin, source: str) -> Manifest:
    """The manifest of one document, without its includes.

    `base` is the folder to which host paths are relative; `origin` tells where a path of keys stands.
    """
    return Manifest(
        app=_app(raw.get("app", {})),
        mounts=(
            *(_mount(raw_mount, base, origin, i) for i, raw_mount in enumerate(raw.get("mount", ()))),
            *(
                _channel(kind, entry, base, origin((kind, i)))
                for kind in ("channel", "descriptor")
                for i, entry in enumerate(raw.get(kind, ()))
            ),
        ),
        dials=tuple(dial(entry, base, origin(("dial", i))) for i, entry in enumerate(raw.get("dial", ()))),
        listens=tuple(listen(entry, origin(("listen", i))) for i, entry in enumerate(raw.get("listen", ()))),
        limits=limits(raw.get("limits", {}), origin),
        network=_network(raw["network"], base, origin(("network",))) if "network" in raw else Network(),
        syscalls=_syscalls(raw["syscalls"], origin(("syscalls",))) if "syscalls" in raw else Syscalls(),
        secrets=tuple(
            secret(entry, base, origin(("secret", i))) for i, entry in enumerate(raw.get("secret", ()))
        ),
        labels=_labels(raw["labels"], origin(("labels",))) if "labels" in raw else Labels(),
        domains=tuple(
            Domain(entry["name"], tuple(entry.get("programs", ())), origin(("domain", i)))
            for i, entry in enumerate(raw.get("domain", ()))
        ),
        allows=tuple(
            Allow(entry["domain"], entry["type"], tuple(entry["to"]), origin(("allow", i)))
            for i, entry in enumerate(raw.get("allow", ()))
        ),
        allow_missing=tuple(raw.get("allow_missing", ())),
        source=source,
    )


def _app(raw: Mapping[str, Any]) -> App:
    command = raw.get("command")
    return App(
        command=None if command is None else tuple(command),
        directory=raw.get("directory"),
        environment=MappingProxyType(dict(raw.get("environment", {}))),
        hostname=raw.get("hostname"),
        name=raw.get("name"),
        introspect=raw.get("introspect"),
        control=raw.get("control"),
        keep=raw.get("keep"),
        record=raw.get("record"),
        ambient=raw.get("ambient"),
        user=raw.get("user"),
        clearance=raw.get("clearance"),
        level=raw.get("level"),
    )


def _labels(raw: Mapping[str, Any], origin: str) -> Labels:
    return Labels((tuple(raw["levels"]),), tuple(raw.get("categories", ())), origin)


def _syscalls(raw: Mapping[str, Any], origin: str) -> Syscalls:
    allow, deny = tuple(raw.get("allow", ())), tuple(raw.get("deny", ()))
    return Syscalls(raw.get("profile"), allow, deny, raw.get("log"), origin)


def _network(raw: Mapping[str, Any], base: str, origin: str) -> Network:
    return Network(
        routed=raw.get("routed"),
        rate=values.rate(raw["rate"]) if "rate" in raw else None,
        delay=values.duration(raw["delay"]) if "delay" in raw else None,
        jitter=values.duration(raw["jitter"]) if "jitter" in raw else None,
        loss=values.loss(raw["loss"]) if "loss" in raw else None,
        capture=absolute(raw["capture"], base) if "capture" in raw else None,
        capture_limit=values.size(raw["capture_limit"]) if "capture_limit" in raw else None,
        origin=origin,
    )


def _mount(raw: Mapping[str, Any], base: str, origin: Origin, index: int) -> Mount:
    default = Mode.READ_WRITE if "memory" in raw else Mode.READ_ONLY
    signed = raw.get("exec", {}).get("signed")
    return Mount(
        at=raw["at"],
        source=_source(raw, base),
        mode=Mode(raw["mode"]) if "mode" in raw else default,
        optional=raw.get("optional", False),
        order=Order(raw.get("order", "replace")),
        layers=layers(raw, absolute(signed, base) if signed else None),
        revocable=raw.get("revocable", False),
        replaceable=raw.get("replaceable", False),
        origin=origin(("mount", index)),
    )


def _channel(kind: str, raw: Mapping[str, Any], base: str, origin: str) -> Mount:
    path = absolute(raw["host"], base) if "host" in raw else None
    make = channel if kind == "channel" else descriptor
    return make(raw, path, origin)


def _source(raw: Mapping[str, Any], base: str) -> Source:
    if "host" in raw:
        return HostSource(absolute(raw["host"], base))
    if "image" in raw:
        from libos.images.reference import parse

        return ImageSource(str(parse(raw["image"]).absolute(base)), raw.get("path", "/"))
    if "text" in raw:
        return TextSource(raw["text"])
    if "bytes" in raw:
        return BytesSource(values.base64_bytes(raw["bytes"]))
    if "memory" in raw:
        return MemorySource(values.size(raw["memory"]))
    if "bind" in raw:
        return BoundSource(raw["bind"])
    if "service" in raw:
        said = raw["service"]
        return ServiceSource(values.service(said) if isinstance(said, str) else said)
    if "p9" in raw:
        return P9Source(values.service(raw["p9"]))
    if "node" in raw:
        return NodeSource(raw["node"])
    return FunctionSource(raw["function"])
