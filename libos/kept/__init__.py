"""Copy-on-write to the end: changes that outlive their run, shown, committed to the host, discarded.

An overlay keeps what an app changed in an upper layer; here that layer lies on disk under a name
(libos.kept.store). Comparing it with the host gives the changes (comparing, change), patterns choose among
them (selection), a commit writes them with a journal (committing, journal, steps), a discard forgets them.
"""

from __future__ import annotations

from libos.kept.change import Change, State
from libos.kept.errors import ChangesError, ConflictError, NothingMatchesError
from libos.kept.kept import Changes, changes, discard_name
from libos.kept.running import Keeping, keep
from libos.kept.store import check_name, home, names

__all__ = [
    "Change",
    "Changes",
    "ChangesError",
    "ConflictError",
    "Keeping",
    "NothingMatchesError",
    "State",
    "changes",
    "check_name",
    "discard_name",
    "home",
    "keep",
    "names",
]
