"""The data files read into values: groups of calls, checks of arguments, profiles. Each is read once."""

from __future__ import annotations

import errno
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from libos.syscalls.cubes import Partition, only_values, without_bits

_DATA = Path(__file__).parent / "data"
# The files of the folder that are no profiles.
_SHARED = ("groups", "checks")
# The group that no profile can be without.
START = "start"


@dataclass(frozen=True)
class Group:
    """Calls that are for one purpose. `error` is how they are refused, an errno's name."""

    name: str
    what: str
    why: str
    error: str
    calls: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Check:
    """What is looked at in an argument of some calls; `partition` is its meaning and `says` its text."""

    calls: tuple[str, ...]
    what: str
    why: str
    error: str
    says: str
    partition: Partition


@dataclass(frozen=True)
class Profile:
    """The groups that a profile allows, single calls of others by their groups, and those for where there is
    a network; its checks besides those of every profile. `looser` has the calls that it allows and
    Docker's profile does not, `kept` those that no ordinary program was seen to need, with the reasons."""

    name: str
    what: str
    groups: tuple[str, ...]
    calls: Mapping[str, tuple[str, ...]]
    network: Mapping[str, tuple[str, ...]]
    checks: tuple[Check, ...]
    looser: Mapping[str, str]
    kept: Mapping[str, str]


def profile_names() -> list[str]:
    """The profiles that there are."""
    return sorted(path.stem for path in _DATA.glob("*.toml") if path.stem not in _SHARED)


@cache
def groups() -> Mapping[str, Group]:
    """Every group by its name."""
    return {
        name: Group(name, raw["what"], raw["why"], raw.get("error", "EPERM"), tuple(raw["calls"].split()))
        for name, raw in _read("groups").items()
    }


@cache
def group_of() -> Mapping[str, Group]:
    """The group of each call that is known."""
    return {call: group for group in groups().values() for call in group.calls}


@cache
def checks() -> tuple[Check, ...]:
    """The checks of every profile."""
    return _checks(_read("checks"))


@cache
def profile(name: str) -> Profile:
    """A profile by its name. KeyError where there is none."""
    if name not in profile_names():
        raise KeyError(name)
    raw = _read(name)
    return Profile(
        name,
        raw["what"],
        tuple(raw["groups"].split()),
        _by_group(raw.get("calls", {})),
        _by_group(raw.get("network", {})),
        _checks(raw),
        raw.get("looser", {}),
        raw.get("kept", {}),
    )


def _by_group(raw: Mapping[str, str]) -> Mapping[str, tuple[str, ...]]:
    return {name: tuple(calls.split()) for name, calls in raw.items()}


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_DATA / f"{name}.toml").read_text())


def _checks(raw: Mapping[str, Any]) -> tuple[Check, ...]:
    return tuple(_check(each) for each in raw.get("check", ()))


def _check(raw: Mapping[str, Any]) -> Check:
    partition, says = _partition(raw["argument"], raw)
    if "when" in raw:
        condition, where = _partition(raw["when"]["argument"], raw["when"])
        partition, says = partition.only_where(condition), f"{says} where {where}"
    error = raw.get("error", "EPERM")
    assert hasattr(errno, error)
    return Check(
        tuple(raw["calls"].split()), raw["what"], " ".join(raw["why"].split()), error, says, partition
    )


def _partition(argument: int, raw: Mapping[str, Any]) -> tuple[Partition, str]:
    """What one test of an argument means, and how it reads."""
    place = f"argument {argument}"
    if named := raw.get("without"):
        return without_bits(argument, named.values()), f"{place} without {' '.join(named)}"
    if named := raw.get("any"):
        return without_bits(argument, named.values()).inverse(), f"{place} has {' or '.join(named)}"
    if named := raw.get("refuse"):
        return only_values(argument, named.values()).inverse(), f"{place} not {' '.join(named)}"
    named = raw.get("only") or raw["is"]
    return only_values(argument, named.values()), f"{place} is {' or '.join(named)}"
