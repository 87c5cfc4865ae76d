"""What a manifest may hold on the tour, and what the tour puts in its place. Pure, but for real paths.

Rules, which make an attack that ships with a stop, and a stop that was handed over, harmless:
- Of the host a manifest gets the stop's own `files`, and programs and settings of the system, these read-only
  or as copies. Nothing of the learner's own is in reach, whatever the manifest says.
- Nothing leaves the machine: a granted connection leads to what the tour plays, and nothing is published.
- Nothing is run outside for it, nothing is written outside for it.
- What this module does not know is refused, so that a new kind of grant is not let through unseen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from libos.manifest.model import Dial, Manifest
from libos.namespace import (
    BoundSource,
    BytesSource,
    HostSource,
    MemorySource,
    Mode,
    Mount,
    TextSource,
    is_at_or_below,
)
from libos.tour.stop import ATTACK_FOLDER

# Where the programs and settings of a system are: hier(7).
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc")
# Seconds that a program of a stop gets at most: far more than any takes, on a machine that is busy.
LONGEST = 60.0
# What a manifest may say here; `mounts` and `network` are looked at more closely.
_KNOWN = frozenset(
    ["app", "mounts", "dials", "listens", "limits", "network", "syscalls", "allow_missing", "removals"]
    + ["in_order", "source", "labels", "domains", "allows"]
)
_SOURCES = (BoundSource, BytesSource, MemorySource, TextSource)

Leads = Callable[[Dial], Callable[..., Any]]


def refusals(manifest: Manifest, folder: Path) -> list[str]:
    """Why a manifest is not run on the tour, a sentence each; `folder` is the learner's, with `files`."""
    return [*_unknown(manifest), *_mounts(manifest, folder), *_others(manifest)]


def _unknown(manifest: Manifest) -> Iterator[str]:
    nothing = Manifest()
    for each in fields(Manifest):
        if each.name not in _KNOWN and getattr(manifest, each.name) != getattr(nothing, each.name):
            yield f"the tour does not use {each.name}: leave it out here"


def _mounts(manifest: Manifest, folder: Path) -> Iterator[str]:
    files = os.path.realpath(folder / "files")
    for mount in manifest.mounts:
        if isinstance(mount.source, HostSource):
            real = os.path.realpath(mount.source.path)
            if is_at_or_below(real, files):
                continue
            if not any(is_at_or_below(real, each) for each in _SYSTEM):
                yield f"{mount.at}: the tour mounts files/ and the system's programs, not {real}"
            elif mount.mode is Mode.READ_WRITE:
                yield f"{mount.at}: the tour mounts {real} read-only, or copy-on-write"
        elif not isinstance(mount.source, _SOURCES):
            yield f"{mount.at}: the tour mounts files, texts and memory, nothing that leads outside"


def _others(manifest: Manifest) -> Iterator[str]:
    if manifest.app.keep is not None:
        yield "keep: the tour keeps no changes"
    if manifest.network.capture is not None:
        yield "network.capture: the tour writes no capture"
    for each in manifest.dials:
        if each.to.startswith("udp!"):
            yield f"{each.to}: the tour plays services over tcp alone"
    if not manifest.app.command:
        yield "it has no command: put the line of [app] back, or begin anew"


def fitted(manifest: Manifest, leads: Leads) -> Manifest:
    """The manifest as the tour runs it: connections lead to what `leads` gives, nothing is published, time is
    bounded."""
    time = min(manifest.limits.time or LONGEST, LONGEST)
    return replace(
        manifest,
        app=replace(manifest.app, name=None),
        dials=tuple(replace(each, via=leads(each), private=False, ask=False) for each in manifest.dials),
        listens=tuple(replace(each, host="", path=None, proxy_protocol=False) for each in manifest.listens),
        limits=replace(manifest.limits, time=time),
    )


def attacked(manifest: Manifest, command: tuple[str, ...], attack: Path) -> Manifest:
    """The manifest with another command, as by whoever has taken the app over; its program is in `attack`."""
    mount = Mount(at=ATTACK_FOLDER, source=HostSource(os.path.realpath(attack)), origin="the tour")
    others = tuple(each for each in manifest.mounts if not is_at_or_below(each.at, ATTACK_FOLDER))
    return replace(manifest, app=replace(manifest.app, command=command), mounts=(*others, mount))
