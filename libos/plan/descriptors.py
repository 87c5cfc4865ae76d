"""What a program without ambient authority has: its descriptors, and the one by which it gives up names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from libos.manifest.descriptors import ENTER, PLACE
from libos.manifest.model import Manifest
from libos.manifest.problems import Problem, at_origin
from libos.namespace import ChannelSource, Mount, ServiceSource, WorldSource

if TYPE_CHECKING:
    from libos.plan.model import Plan

_ENTER = Mount(f"{PLACE}/{ENTER}", WorldSource(ENTER), origin="libos")


def enter_mounts(manifest: Manifest) -> list[Mount]:
    """The file behind the descriptor `enter`, where the manifest asks for it."""
    return [_ENTER] if manifest.app.ambient is False else []


def ambient_problems(manifest: Manifest) -> Iterator[Problem]:
    """What a program that has no ambient authority cannot have."""
    named = [each for each in manifest.mounts if _is_descriptor(each)]
    if manifest.app.ambient is not False:
        for mount in named:
            message = "a descriptor is for a program without names: write ambient = false in [app]"
            yield at_origin(mount.origin, message)
        return
    if manifest.app.directory not in (None, "/"):
        message = "ambient = false starts in /: who stands in another directory holds it"
        yield Problem(manifest.source or "manifest", 0, 0, message)
    for origin in [each.origin for each in manifest.dials] + [each.origin for each in manifest.listens]:
        yield at_origin(origin, "ambient = false means no network: remove this, or ambient")
    for mount in manifest.mounts:
        if isinstance(mount.source, ServiceSource):
            yield at_origin(mount.origin, "ambient = false means no network: remove this service, or ambient")


def descriptors(plan: Plan) -> Iterator[tuple[str, str, int]]:
    """See `Plan.descriptors`."""
    for each in plan.served:
        source = each.source
        if isinstance(source, ChannelSource) and source.descriptor is not None:
            write = os.O_RDWR if source.gettable else os.O_WRONLY
            yield source.descriptor, each.at, write if source.puttable else os.O_RDONLY
    if not plan.ambient:
        yield ENTER, f"{PLACE}/{ENTER}", os.O_WRONLY


def _is_descriptor(mount: Mount) -> bool:
    return isinstance(mount.source, ChannelSource) and mount.source.descriptor is not None
