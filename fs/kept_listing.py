"""Which listings the kernel may keep, and for how long.

The kernel can copy a listing while it is read, and answer the next ones from its copy. It asks at each
opendir whether its copy still holds, so what is kept is as true as what is asked for. Rules:

- A copy is of one state of the names (`Directory.same_names`): it is begun empty, and kept while the
  directory is in the same state. A listing of another state, or one that left a name out, voids it.
- No copy is begun while somebody is in the middle of a listing of another state, which might be added.
- Places in a listing (d_off, telldir(3)) are of one copy alone: whoever is in the middle of one that the
  kernel has dropped asks here, and goes on in the same names; in another one he would miss some.
- Nothing is copied where names are not kept either (`Cache.entry`), and a copy is kept for half as long as
  they are: a listing that is asked for renews the attributes of all that stands in it, and that has to come
  before they are asked for one by one. LONGEST is for what no rule foresees.

Who has the directory open already and lists it again is told by the invalidation that each change of the
directory brings, as of all that the kernel keeps.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import count

from libos.fs.directory_flags import CACHE_READDIR, KEEP_CACHE
from libos.fs.dispatch import directory_of
from libos.fs.worlds import Open

# Seconds: a listing in so long costs nobody anything.
LONGEST = 60.0
# Names of one listing at most, as far as places tell them apart: each copy has as many places to itself.
# 2 ** 63 / 2 ** 32 copies are some, and whoever is in the middle of one has long ended when they come round.
PLACES = 1 << 32

_copies = count(1)


def _first_place() -> int:
    """Where the places of a further copy begin."""
    return next(_copies) * PLACES % (1 << 63) or PLACES


@dataclass(slots=True)
class Copy:
    """What the kernel was let copy of a directory: in which state, since when, which names in which order."""

    state: object
    since: float
    first_place: int = field(default_factory=_first_place)
    names: list[bytes] = field(default_factory=list)


def opens(opened: Open) -> int:
    """How the kernel may use its copy of a directory that is being opened: bits of libos.fs.directory_flags.
    With 0 it drops what it has, and copies nothing."""
    inode = opened.inode
    directory = directory_of(inode)
    state, now = directory.same_names(), time.monotonic()
    before, inode.copy = inode.copy, None
    age = min(directory.cache.entry / 2, LONGEST)
    if state is None or not age or any(other != state for other in (inode.copying or {}).values()):
        return 0
    opened.copies = True
    if before is not None and before.state == state and now - before.since < age:
        inode.copy = before
        opened.names, opened.first_place = before.names, before.first_place
        return CACHE_READDIR | KEEP_CACHE
    inode.copy = Copy(state, now)
    return CACHE_READDIR


def begins(opened: Open) -> None:
    """When the names of a listing have just been taken."""
    if not opened.copies:
        return
    inode = opened.inode
    state, copy = directory_of(inode).same_names(), inode.copy
    if inode.copying is None:
        inode.copying = {}
    inode.copying[opened] = state
    if copy is None or copy.state != state:
        inode.copy = None
        opened.first_place = _first_place()
    else:
        copy.names = opened.names = copy.names or opened.names
        opened.first_place = copy.first_place


def goes_on(opened: Open, place: int) -> bool:
    """Whether the names of the listing are at hand in which a place is."""
    first = place - place % PLACES
    copy = opened.inode.copy
    if first != opened.first_place and copy is not None and copy.first_place == first:
        opened.names, opened.first_place = copy.names, first
    return first == opened.first_place and bool(opened.names)


def lacks(opened: Open) -> None:
    """When a name is left out of a listing that may be there the next time."""
    opened.inode.copy = None


def ends(opened: Open) -> None:
    """When whoever lists has all names, or closes the directory."""
    inode = opened.inode
    if inode.copying is not None:
        inode.copying.pop(opened, None)
        if not inode.copying:
            inode.copying = None
