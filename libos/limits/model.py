"""The values of limits: what a machine offers, and what was decided. Frozen, without descriptors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

# The controllers that limits need, by their names in cgroups(7).
Controller = Literal["memory", "pids", "cpu", "cpuset"]
CONTROLLERS: tuple[Controller, ...] = ("memory", "pids", "cpu", "cpuset")


class Place(NamedTuple):
    """Where the cgroups of worlds are made for one controller: below `parent`, an absolute path.

    In version 2 `enable` says that the controller must be enabled for the children of `parent` first, and
    `leave` that this process must leave `parent` for that, since a cgroup with children that are controlled
    holds no process.
    """

    version: Literal[1, 2]
    parent: str
    enable: bool = False
    leave: bool = False


@dataclass(frozen=True)
class Cgroups:
    """What this process can use of cgroups: a place a controller. `why` says why one has none."""

    places: tuple[tuple[Controller, Place], ...] = ()
    why: str = "this machine has no cgroups that libos can use"

    def place(self, controller: Controller) -> Place | None:
        """Where a controller is used; None where it cannot be."""
        return dict(self.places).get(controller)


@dataclass(frozen=True)
class Setting:
    """One file to write in a world's cgroup. `optional`: a kernel may lack the file."""

    controller: Controller
    file: str
    value: str
    optional: bool = False


@dataclass(frozen=True)
class Cgroup:
    """A world's cgroup before it is made: the places that it has one in, and what is written, in order."""

    places: tuple[tuple[Controller, Place], ...]
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class Told:
    """One limit for `libos explain`: what was asked, how it is held, and what that does and cannot do."""

    key: str
    asked: str
    mechanism: str
    reason: str


@dataclass(frozen=True)
class Missing:
    """What was asked for and this host cannot give. `feature` is what `allow_missing` names."""

    feature: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class Decision:
    """How the limits of one world are held. `rlimits` are resource limits by their names in getrlimit(2),
    lower case without RLIMIT_, soft and hard alike."""

    cgroup: Cgroup | None = None
    rlimits: tuple[tuple[str, int], ...] = ()
    disk: int | None = None
    output: int | None = None
    told: tuple[Told, ...] = ()
    missing: tuple[Missing, ...] = ()


# Nothing was asked for, and nothing is held.
NO_LIMITS = Decision()
