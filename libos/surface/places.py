"""The places that are compared (outside, under bubblewrap, in worlds), and what of a manifest is left out.

A world is started for the probe as for its app, with what would act on the outside or stand in the way taken
out: nothing is published, kept, captured or fetched (secrets), and no limit ends the walk.
"""

from __future__ import annotations

import os
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from libos.manifest import Manifest, from_mapping, load, profile_names
from libos.manifest.model import Limits, Syscalls
from libos.namespace import MemorySource
from libos.plan.model import Plan, Served
from libos.surface.toolbox import Toolbox

# How bubblewrap is mostly started where somebody wants a program contained: the examples of its manual and of
# the README have this shape. All it can unshare is unshared.
USUAL_FLAGS = "--ro-bind / / --dev /dev --proc /proc --unshare-all --die-with-parent"


@dataclass(frozen=True)
class Outside:
    """The caller's own place, with nothing around it."""

    name: str = "outside"
    about: str = "a process of the caller's"


@dataclass(frozen=True)
class Bubblewrap:
    """What bwrap(1) makes with these flags."""

    flags: tuple[str, ...]
    name: str = "bwrap"

    @property
    def about(self) -> str:
        """The command line."""
        return shlex.join(("bwrap", *self.flags))


@dataclass(frozen=True)
class World:
    """A world of libos."""

    name: str
    about: str
    manifest: Manifest
    needed: bool = True  # the caller's own manifest, and not a profile beside it


Place = Outside | Bubblewrap | World


def places(
    manifests: Iterable[str], command: tuple[str, ...] = (), bubblewrap: Iterable[str] = ()
) -> list[Place]:
    """The places to compare: outside, under bubblewrap (its usual flags unless others are given), and for
    each manifest its profile and itself; without one, the profile for a command. Raises ManifestError."""
    found: list[Place] = [Outside()]
    flags = tuple(bubblewrap) or (USUAL_FLAGS,)
    found += [
        Bubblewrap(tuple(shlex.split(each)), "bwrap" if len(flags) == 1 else f"bwrap {number}")
        for number, each in enumerate(flags, 1)
    ]
    given = list(manifests)
    profiles = [profiles_of(path) for path in given] or [(profile_for(command),)]
    found += [_profile(names, needed=not given) for names in dict.fromkeys(profiles)]
    found += [World(os.path.basename(path), f"the manifest {path}", load(path)) for path in given]
    return found


def _profile(names: tuple[str, ...], *, needed: bool) -> World:
    named = ", ".join(names)
    return World(
        f"profile {named}", f"libos run --include {named}", from_mapping({"include": list(names)}), needed
    )


def profiles_of(path: str) -> tuple[str, ...]:
    """The profiles that a manifest file includes; base, where it includes none. Empty problems are left to
    `load`."""
    try:
        with open(path, "rb") as file:
            said = tomllib.load(file).get("include", ())
    except (OSError, ValueError):
        said = ()
    known = profile_names()
    return tuple(each for each in said if each in known) or ("base",) if isinstance(said, list) else ("base",)


def profile_for(command: tuple[str, ...]) -> str:
    """The profile whose own program a command starts; base for all others."""
    stem = os.path.basename(command[0]).rstrip("0123456789.") if command else ""
    return stem if stem in profile_names() else "base"


def prepared(manifest: Manifest, toolbox: Toolbox, code: str, order: str) -> Manifest:
    """The manifest whose app is the probe, at the place of the app."""
    app = replace(
        manifest.app,
        command=(*toolbox.command, "-I", "-S", "-c", code, order),
        directory="/",
        name=None,
        keep=None,
    )
    return replace(
        manifest,
        app=app,
        mounts=(*manifest.mounts, *toolbox.mounts),
        listens=(),
        secrets=(),
        limits=Limits(),
        network=replace(manifest.network, capture=None, capture_limit=None),
    )


def unfiltered(manifest: Manifest) -> Manifest:
    """The manifest with the profile default for system calls, for a probe that its own does not let work."""
    return replace(manifest, syscalls=Syscalls())


def reaching(plan: Plan) -> list[str]:
    """The places that are served and where what is written leaves the world."""
    return [served.at for served in plan.served if _reaches(served)]


def _reaches(served: Served) -> bool:
    parts = (part.served for part in served.elements if not part.read_only)
    return (
        served.writable and not served.copy_on_write and not isinstance(served.source, MemorySource)
    ) or any(map(_reaches, parts))


def order(
    most: int, seconds: float, host_devices: Iterable[str], reached: Iterable[str] = (), leave_out: str = ""
) -> Mapping[str, object]:
    """What the probe is told; see `libos.surface.probe`."""
    return {
        "most": most,
        "seconds": seconds,
        "host_devices": sorted(host_devices),
        "reaching": sorted(reached),
        "leave_out": leave_out,
    }
