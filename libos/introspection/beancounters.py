"""What a world uses, in the table that OpenVZ showed each of its environments: /proc/user_beancounters.

Columns: held (now), maxheld (the most so far), barrier and limit (the same here: there is no soft one),
failcnt (how often it was refused). A row is there where all of it is counted:

    physpages     pages of memory       where a cgroup holds `[limits] memory`
    numproc       processes, threads    where a cgroup holds `[limits] processes`; libos's own two in it too
    d1.connect    connections of a dial grant, by its id

Source: OpenVZ, "UBC parameters"; proc(5) has nothing of it, since it was never merged.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from libos.manifest import values

if TYPE_CHECKING:
    from libos.net.granting.dialed import Dialed

_TITLE = "Version: 2.5\n"
_HEAD = ("resource", "held", "maxheld", "barrier", "limit", "failcnt")
# What no limit is, as OpenVZ wrote it: LONG_MAX of a 64 bit machine.
UNLIMITED = sys.maxsize


@dataclass(frozen=True)
class Row:
    """One resource: numbers of its own unit."""

    resource: str
    held: int
    most: int
    limit: int
    refused: int

    def line(self) -> str:
        """As the table has it."""
        numbers = (self.held, self.most, self.limit, self.limit, self.refused)
        return f"{self.resource:>12} " + " ".join(f"{number:>20}" for number in numbers)


def beancounters(limits: Iterable[Mapping[str, object]], dials: Iterable[Dialed]) -> str:
    """The table of a world: `limits` are those of `Limiting.seen`."""
    head = f"{_HEAD[0]:>12} " + " ".join(f"{name:>20}" for name in _HEAD[1:])
    rows = [*_of_limits(limits), *map(_of_dial, dials)]
    return _TITLE + "\n".join([head, *(row.line() for row in rows)]) + "\n"


def _of_limits(limits: Iterable[Mapping[str, object]]) -> Iterator[Row]:
    for each in limits:
        counted = each["now"], each["peak"], each["hits"]
        if any(number is None for number in counted):
            continue
        held, most, refused = (int(str(number)) for number in counted)
        asked = str(each["asked"]).removesuffix(" bytes")
        if each["limit"] == "memory":
            page = mmap.PAGESIZE
            yield Row("physpages", held // page, most // page, values.size(asked) // page, refused)
        elif each["limit"] == "processes":
            yield Row("numproc", held, most, int(asked), refused)


def _of_dial(live: Dialed) -> Row:
    limit = live.rule.limits.connections
    most = UNLIMITED if limit is None else limit
    return Row(f"{live.id}.connect", live.open, live.most_open, most, live.refused)
