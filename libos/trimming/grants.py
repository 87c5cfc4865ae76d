"""The grants of a manifest as values, and the manifest without some of them. Pure.

A grant is a mount, a dial, a listen, or a system call (or group of them) that is allowed besides. Mounts of
one place that an include brings are one grant, since an include list removes them by their place; an entry of
the file itself is a grant of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from libos.manifest import Manifest
from libos.namespace import BoundSource, ChannelSource, Mount, ServiceSource

# A bind's uses are told of what it shows, a service's of nothing.
_UNTOLD = (BoundSource, ServiceSource)

Kind = Literal["mount", "channel", "descriptor", "dial", "listen", "syscall"]


@dataclass(frozen=True)
class Grant:
    """One grant: by its place, address, port or call. `origin` says where it was asked for; `line` is the
    line of the manifest file where its entry begins, None where an include brings it."""

    kind: Kind
    name: str
    line: int | None = None
    origin: str = field(default="", compare=False)
    told: bool = field(default=True, compare=False)  # a recorded run tells of its uses

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def grants(manifest: Manifest) -> list[Grant]:
    """Every grant of a manifest, each once, in the order in which they were asked for."""
    return list(dict.fromkeys(_each(manifest)))


def without(manifest: Manifest, gone: Collection[Grant]) -> Manifest:
    """The manifest without some of its grants."""
    if not gone:
        return manifest
    taken = frozenset(gone)
    source = manifest.source
    calls = {grant.name for grant in taken if grant.kind == "syscall"}
    return replace(
        manifest,
        mounts=tuple(
            each for each in manifest.mounts if _grant(_kind(each), each.at, each.origin, source) not in taken
        ),
        dials=tuple(
            each for each in manifest.dials if _grant("dial", each.to, each.origin, source) not in taken
        ),
        listens=tuple(
            each for each in manifest.listens if _grant("listen", each.name, each.origin, source) not in taken
        ),
        syscalls=replace(
            manifest.syscalls, allow=tuple(each for each in manifest.syscalls.allow if each not in calls)
        ),
    )


def _each(manifest: Manifest) -> Iterator[Grant]:
    source = manifest.source
    for mount in manifest.mounts:
        grant = _grant(_kind(mount), mount.at, mount.origin, source)
        yield replace(grant, told=not isinstance(mount.source, _UNTOLD))
    for dial in manifest.dials:
        yield _grant("dial", dial.to, dial.origin, source)
    for listen in manifest.listens:
        yield _grant("listen", listen.name, listen.origin, source)
    for call in manifest.syscalls.allow:
        yield Grant("syscall", call, None, manifest.syscalls.origin)


def _kind(mount: Mount) -> Kind:
    """In which table of a manifest it stands."""
    if not isinstance(mount.source, ChannelSource):
        return "mount"
    return "channel" if mount.source.descriptor is None else "descriptor"


def _grant(kind: Kind, name: str, origin: str, source: str) -> Grant:
    return Grant(kind, name, _line(origin, source), origin)


def _line(origin: str, source: str) -> int | None:
    """The line of the file `source` that an origin names, as in "agent.toml:12:1"."""
    file, _, place = origin.rpartition(":")
    file, _, line = file.rpartition(":")
    return int(line) if file == source and line.isdigit() and place.isdigit() else None
