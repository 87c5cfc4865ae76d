"""Two numbers of a place: how complex it is, and how large its attack surface. Pure.

- **Complexity** is how many parts the program's surroundings have: the files that it sees. Whoever wants to
  know what the program meets has so many things to look at.
- **Attack surface** is the mean, over the DOORS, of how far each stands open compared with the place outside,
  in percent: 100 is the caller's own place, 0 is a place that nothing leads out of. Each door weighs the
  same, since which one an attacker needs is not known beforehand. A door is compared as a share: half of the
  system calls are half. Endpoints alone are compared by their logarithm, since of the whole Internet even a
  million addresses would be a share of nothing. A door that is shut outside too (an ordinary user has no
  capabilities) says nothing and is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from libos.surface.survey import Survey, number


@dataclass(frozen=True)
class Door:
    """A way out, by the key of a survey; compared as a share or by its logarithm."""

    key: str
    logarithmic: bool = False


DOORS = (
    Door("bytes"),
    Door("writable"),
    Door("makeable"),
    Door("programs"),
    Door("setuid_works"),
    Door("devices"),
    Door("sockets"),
    Door("endpoints", logarithmic=True),
    Door("system_calls"),
    Door("capabilities"),
    Door("shared_namespaces"),
    Door("processes"),
)


def complexity(survey: Survey) -> int:
    """How many parts its surroundings have."""
    return survey.files


def doors(survey: Survey, outside: Survey) -> Mapping[str, float]:
    """How far each door stands open, from 0 to 1, of those that are open outside."""
    found = {}
    for door in DOORS:
        whole, part = number(outside, door.key), number(survey, door.key)
        if whole:
            share = math.log1p(part) / math.log1p(whole) if door.logarithmic else part / whole
            found[door.key] = min(1.0, share)
    return found


def attack_surface(survey: Survey, outside: Survey) -> float:
    """The mean of all doors, in percent of the place outside."""
    opened = list(doors(survey, outside).values())
    return 100 * sum(opened) / len(opened) if opened else 0.0


def outside_of(surveys: Iterable[Survey]) -> Survey | None:
    """The place that others are compared with, where it was measured."""
    return next((each for each in surveys if each.place == "outside" and each.problem is None), None)
