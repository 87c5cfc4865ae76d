"""What a program could put links into while it was learned. Pure; the host is asked through `Host`.

A mount of a file is of what its path leads to when it is mounted. So nothing is granted that stands where
the program may write: it could make a link there, now or in a later run, and choose what is shown.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from libos.learning.host import Host
from libos.learning.widening import Uses, within


def planted(uses: Uses, host: Host, written: Iterable[str]) -> set[str]:
    """The paths among those used that stand below one of these directories of the host, by whatever links."""
    places = [host.real(place) for place in written]
    return {path for path in uses if places and any(_stands_below(path, host, place) for place in places)}


def _stands_below(path: str, host: Host, place: str) -> bool:
    above, name = posixpath.split(path)
    stands = posixpath.join(host.real(above), name)
    return stands != place and within(stands, place)


def notes(paths: Iterable[str]) -> list[str]:
    """What a person is told of them."""
    return [
        f"{place} could be changed, and nothing of it is granted besides: it may have links of the program"
        for place in sorted({posixpath.dirname(path) for path in paths})
    ]
