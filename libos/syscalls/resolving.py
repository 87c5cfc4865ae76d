"""From what is asked for to a filter as data: for each call that is known, whether it passes, on what terms.

The profile's groups, then what `allow` adds, then what `deny` takes away: a denial wins. A call that is
allowed passes the checks on it, those of every profile and the profile's own; with `allow` too, which adds
calls and lifts no check. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from libos.syscalls import tables
from libos.syscalls.tables import Check, Group, Profile
from libos.syscalls.wanted import Wanted

# By what a program's first moment hands its notifications over (libos/keeper/refusals.py).
_TELLING = frozenset(["read", "write"])

# What the launcher uses of the kernel until it execs: Python's own needs, the channel, the streams.
_PREPARING = ("memory", "descriptors", "threads", "files", "watch", "signals", "processes", "network")


@dataclass(frozen=True)
class Rule:
    """What a call gets: allowed if it passes `checks`, or refused with `error`. `because` says by what."""

    call: str
    group: Group
    allowed: bool
    checks: tuple[Check, ...]
    error: str
    because: str


@dataclass(frozen=True)
class Filter:
    """All rules, in the order of the groups. What is in none of them is ENOSYS."""

    wanted: Wanted
    rules: tuple[Rule, ...]

    @property
    def lets_prepare(self) -> bool:
        """Whether it allows what the launcher does between its last wall and execve(2), so that the filter
        may be loaded ahead. Otherwise it is loaded right before."""
        needed = {call for name in _PREPARING for call in tables.groups()[name].calls}
        return needed.issubset(rule.call for rule in self.allowed)

    @property
    def allowed(self) -> tuple[Rule, ...]:
        """The rules that let a call pass."""
        return tuple(rule for rule in self.rules if rule.allowed)


def resolve(wanted: Wanted) -> Filter:
    """The filter for what is asked for. Raises ValueError for an unknown profile, call or group, and for a
    denial of what every program needs."""
    profile_name(wanted.profile)
    profile = tables.profile(wanted.profile)
    granted = _of_profile(profile, network=wanted.network)
    granted |= {call: "allow" for call in _calls(map(entry, wanted.allow)) if call not in granted}
    denied = frozenset(_calls(map(denial, wanted.deny)))
    looked_at = (*tables.checks(), *profile.checks)
    if wanted.log and not _TELLING.isdisjoint(denied):
        raise ValueError(f"log needs {' and '.join(sorted(_TELLING))}: remove them from deny, or log")
    return Filter(
        wanted,
        tuple(
            _rule(call, group, granted, denied, looked_at)
            for group in tables.groups().values()
            for call in group.calls
        ),
    )


def _of_profile(profile: Profile, *, network: bool) -> dict[str, str]:
    """What a profile allows by itself, each call with why."""
    granted = dict.fromkeys(_calls(f"@{name}" for name in profile.groups), f"profile {profile.name}")
    for calls in profile.calls.values():
        granted |= dict.fromkeys(calls, f"profile {profile.name}")
    for calls in profile.network.values() if network else ():
        granted |= dict.fromkeys(calls, f"profile {profile.name}, with a network")
    return granted


def _rule(
    call: str, group: Group, granted: dict[str, str], denied: frozenset[str], looked_at: tuple[Check, ...]
) -> Rule:
    checks = tuple(check for check in looked_at if call in check.calls)
    if call in denied:
        return Rule(call, group, False, (), group.error, "deny")
    if call in granted:
        return Rule(call, group, True, checks, group.error, granted[call])
    return Rule(call, group, False, (), group.error, f"group {group.name}")


def _calls(entries: Iterable[str]) -> Iterable[str]:
    for each in entries:
        yield from tables.groups()[each[1:]].calls if each.startswith("@") else (each,)


def profile_name(name: str) -> str:
    """The name of a profile. Raises ValueError with the nearest one."""
    known = tables.profile_names()
    if name not in known:
        raise ValueError(f'no profile of system calls is named "{name}"{_nearest(name, known)}')
    return name


def entry(name: str) -> str:
    """A call's name, or a group's with @. Raises ValueError with the nearest one."""
    if name.startswith("@"):
        known = [f"@{each}" for each in tables.groups()]
        if name not in known:
            raise ValueError(f'no group of system calls is named "{name}"{_nearest(name, known)}')
    elif name not in tables.group_of():
        known = [*tables.group_of(), *(f"@{each}" for each in tables.groups())]
        hint = _nearest(name, known, ": libos explain --syscalls lists them")
        raise ValueError(f'no system call is named "{name}"{hint}')
    return name


def denial(name: str) -> str:
    """An entry that may be denied. Raises ValueError for what every program needs to start and to end."""
    needed = tables.groups()[tables.START].calls
    if entry(name) in (f"@{tables.START}", *needed):
        raise ValueError(
            f'"{name}" cannot be denied: a program that may not use {", ".join(needed)} neither starts nor '
            "ends; remove it from deny"
        )
    return name


def _nearest(word: str, known: list[str], otherwise: str | None = None) -> str:
    from difflib import get_close_matches

    matches = get_close_matches(word, known, n=1, cutoff=0.6)
    if matches:
        return f', did you mean "{matches[0]}"?'
    return otherwise or f"; there are {', '.join(known)}"
