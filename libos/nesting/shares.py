"""What is left of a world's limits for one below it. Pure.

Rules:
- What a world shares with those below it (memory, processes, processors) is divided: what they were given
  together is at most its own. Each must then say its part.
- What holds each process, file or mount alone is at most what it is above.
- A world counts against every one above it, at whatever depth it stands.
"""

from __future__ import annotations

from collections.abc import Iterator

from libos.branch import Branch
from libos.limits.deciding import OWN_PROCESSES, bytes_text
from libos.manifest.limiting import LATENCIES
from libos.manifest.model import Limits

_DIVIDED = ("memory", "processes", "cpus")
_BYTES = ("memory", "file_size", "disk", "output")
_ALIKE = ("cpu_share", "cpu_time", "open_files", "file_size", "disk", "output")


def beyond_limits(wanted: Limits, above: Branch) -> Iterator[str]:
    """What these limits are beyond what is left of those above, in sentences."""
    for key in _DIVIDED:
        yield from _divided(key, wanted, above)
    for key in _ALIKE:
        most, asked = getattr(above.limits, key), getattr(wanted, key)
        if most is not None and (asked is None or asked > most):
            yield f'limits.{key} must be said, and at most {_told(key, most)}, as in "{above.name}"'
    if above.limits.cpuset is not None:
        asked_set = None if wanted.cpuset is None else processors(wanted.cpuset)
        if asked_set is None or not asked_set <= processors(above.limits.cpuset):
            yield f'limits.cpuset must be said, of {above.limits.cpuset}, as in "{above.name}"'
    latency = above.limits.latency
    if latency is not None and LATENCIES.index(wanted.latency or LATENCIES[-1]) > LATENCIES.index(latency):
        yield f'limits.latency must be said, and at most {latency}, as in "{above.name}"'
    yield from _worlds(wanted, above)


def _divided(key: str, wanted: Limits, above: Branch) -> Iterator[str]:
    most, asked = getattr(above.limits, key), getattr(wanted, key)
    if most is None:
        return
    own = OWN_PROCESSES if key == "processes" else 0  # libos's own in each world are counted too
    given = sum(getattr(each.limits, key) + own for each in above.below)
    left = max(0, most - given - own)
    if asked is None or asked > left:
        has, gave = _told(key, most), _told(key, given)
        said = f"limits.{key} must be said, and at most {_told(key, left)}"
        yield f'{said}: "{above.name}" has {has}, gave {gave}'


def _told(key: str, value: float) -> str:
    return bytes_text(int(value)) if key in _BYTES else f"{value:g}"


def _worlds(wanted: Limits, above: Branch) -> Iterator[str]:
    for each in (above, *above.ancestors()):
        most = each.limits.children or 0
        if each.size() >= most:
            yield f'"{each.name}" may have {most} worlds below it: its manifest says so in limits.children'
    most = above.limits.children or 0
    if (wanted.children or 0) > max(0, most - 1):
        yield f'limits.children is at most {max(0, most - 1)} below "{above.name}"'


def processors(text: str) -> set[int]:
    """The processors of a list of cpuset(7): "0-3,5"."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found
