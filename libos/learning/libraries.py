"""Library trees: where a language keeps what was installed for it, and where Python keeps its own modules.

A program uses other parts of them on another day: an error path imports a module more, a package manager
reads what is installed. They hold code that the machine has anyway, and no data of the person's.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from libos.learning.host import Host

# Of Python (the site module; Debian's own), and of Node.js (its manual, "Loading from node_modules folders").
NAMES = frozenset(("site-packages", "dist-packages", "node_modules"))
# Python's own, known as Python itself knows it: by the module os in it (getpath, STDLIB_LANDMARKS).
_PYTHON = re.compile(r"python3\.\d+t?")
_LANDMARK = "os.py"
# The least files of one that are used, where it was not listed: with fewer, a line each is short enough.
FEWEST = 10


def trees(paths: Iterable[str], host: Host) -> dict[str, int]:
    """The library trees at or above these paths, outer ones first, each with how many files among the paths
    stand in it."""
    counts: dict[str, int] = {}
    known: dict[str, bool] = {}
    for path in paths:
        one = int(host.kind(path) == "file")
        place = path
        while place != "/":
            if place not in known:
                known[place] = _is_tree(place, host)
            if known[place]:
                counts[place] = counts.get(place, 0) + one
            place = posixpath.dirname(place)
    return dict(sorted(counts.items(), key=lambda item: (item[0].count("/"), item[0])))


def _is_tree(path: str, host: Host) -> bool:
    name = posixpath.basename(path)
    if name in NAMES:
        return host.kind(path) == "directory"
    return _PYTHON.fullmatch(name) is not None and host.kind(f"{path}/{_LANDMARK}") == "file"
