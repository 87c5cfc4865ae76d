"""What is needed to tell of refused calls: how each is to be answered, by numbers, and their names.

A filter that tells only says that a call waits; who answers it, a process of the world that has neither the
data nor libseccomp, is handed this.
"""

from __future__ import annotations

import errno
from functools import cache
from typing import Any

from libos.syscalls.cubes import EVERYTHING, Cube, both
from libos.syscalls.resolving import Rule, resolve
from libos.syscalls.wanted import Wanted


def answers(wanted: Wanted) -> dict[str, Any]:
    """As JSON: "pass", and "errors": by the number of a call, the errnos, each with the arguments to which it
    belongs, [[argument, mask, value] …]. A call that is not there is ENOSYS."""
    import pyseccomp

    found: dict[str, Any] = {}
    for rule in resolve(wanted).rules:
        number = pyseccomp.resolve_syscall(pyseccomp.system_arch(), rule.call)
        if number >= 0:
            found[str(number)] = _errors(rule)
    return {"pass": wanted.log == "pass", "errors": found}


def _errors(rule: Rule) -> list[tuple[int, list[tuple[int, int, int]]]]:
    if not rule.allowed:
        return [(getattr(errno, rule.error), [])]
    passing: tuple[Cube, ...] = (EVERYTHING,)
    found = list[tuple[int, Cube]]()
    for check in rule.checks:
        number = getattr(errno, check.error)
        found += [(number, cube) for cube in both(passing, check.partition.failing)]
        passing = both(passing, check.partition.passing)
    if len({number for number, _ in found}) == 1:
        return [(found[0][0], [])]  # whichever arguments failed
    return [(number, [(at, mask, value) for at, (mask, value) in cube.items()]) for number, cube in found]


@cache
def name(number: int) -> str:
    """The name of a call of this machine; its number where it has none."""
    import pyseccomp

    try:
        found = pyseccomp.resolve_syscall(pyseccomp.system_arch(), number)
    except ValueError:
        return str(number)
    return found.decode() if found else str(number)
