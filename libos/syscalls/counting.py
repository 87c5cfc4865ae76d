"""How many system calls pass: of this machine's table, by the rules of a filter.

The table is libseccomp's for the machine: the names that have a number there. What the running kernel lacks
of it (an older one, a feature that was left out) is counted all the same, in each place alike. Foreign tables
(i386, x32) are not counted; a world's filter ends a process that uses one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from libos.syscalls.resolving import Filter
from libos.syscalls.telling import name

# Numbers to look at: beyond the last call of every machine (2026: some 470), but for those of ARM's own.
_LAST = 1024


@dataclass(frozen=True)
class Calls:
    """`passing` calls may be made, `checked` of them only with some arguments."""

    passing: int
    checked: int = 0


@cache
def table() -> frozenset[str]:
    """The names of this machine's system calls. Raises OSError where libseccomp is missing."""
    found = map(name, range(_LAST))
    return frozenset(each for each in found if not each.isdigit())


def passing(found: Filter, known: Iterable[str]) -> Calls:
    """What passes a filter, of the calls of a table. Pure."""
    names = frozenset(known)
    if found.wanted.log == "pass":
        return Calls(len(names))
    rules = [rule for rule in found.allowed if rule.call in names]
    return Calls(len(rules), sum(bool(rule.checks) for rule in rules))
