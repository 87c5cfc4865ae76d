"""Attempts in groups, so that a person sees what matters first. Pure.

Rules: nothing is left out: each attempt stands in one group. A program that was looked for in several
directories of PATH is one group, what libraries look for by themselves (habits.py) is one, and every other
attempt stands alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from libos.seen.attempts import Attempt
from libos.seen.habits import SHARED, by_habit

# Where a shell looks when PATH is not known: what environ(7) and the profile base say.
USUAL_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


@dataclass(frozen=True)
class Group:
    """Attempts that belong together. "one" has one attempt and its name; "program" has the program's name,
    and `found` where it was at last; "libraries" what libraries look for by themselves."""

    kind: Literal["one", "program", "libraries"]
    what: str
    attempts: tuple[Attempt, ...]
    found: str = ""

    @property
    def count(self) -> int:
        """How often they were tried, together."""
        return sum(each.count for each in self.attempts)

    @property
    def last(self) -> float:
        """When one of them was tried last."""
        return max(each.last for each in self.attempts)


def folded(attempts: Iterable[Attempt], path: str = "", used: Iterable[str] = ()) -> list[Group]:
    """The groups, the most frequent first, what libraries do last. `path` is the app's PATH; `used` are paths
    that were there, by which a program that was looked for in vain before it was found is known."""
    directories = tuple(path.split(":")) if path else USUAL_PATH
    probes: dict[str, list[Attempt]] = {}
    habits: list[Attempt] = []
    alone: list[Attempt] = []
    for attempt in attempts:
        name = _program(attempt, directories)
        if name:
            probes.setdefault(name, []).append(attempt)
        elif attempt.kind == "path" and by_habit(attempt.what):
            habits.append(attempt)
        else:
            alone.append(attempt)
    found = {name: each for each in used if (name := _name_in(each, directories)) in probes}
    groups = []
    for name, looked in probes.items():
        if len(looked) > 1 or name in found:
            groups.append(Group("program", name, tuple(looked), found.get(name, "")))
        else:
            alone += looked
    groups += [Group("one", each.what, (each,)) for each in alone]
    groups.sort(key=lambda group: (_is_shared(group), bool(group.found), -group.count))
    if habits:
        groups.append(Group("libraries", "what libraries look for by themselves", tuple(habits)))
    return groups


def _program(attempt: Attempt, directories: tuple[str, ...]) -> str:
    return _name_in(attempt.what, directories) if attempt.kind == "path" else ""


def _name_in(path: str, directories: tuple[str, ...]) -> str:
    """The program's name where the path is one of PATH's directories and a name in it."""
    above, _, name = path.rpartition("/")
    return name if above in directories else ""


def _is_shared(group: Group) -> bool:
    return group.kind == "one" and group.attempts[0].kind == "path" and group.what in SHARED
