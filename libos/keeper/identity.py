"""Who a world's processes are: on the host, in the keeper's user namespace K, and to themselves.

In every world the app is uid 1000, gid 1000 (or 0, where it is to be root there). Started by an ordinary user
it is that user on the host. Started by root it must be nobody whom the host knows, since a process owned by
the host's uid 0 may write /proc/sys by ownership alone, whatever its capabilities; and two worlds must not be
one user, who could signal and trace himself and open his own files. So the host's ids from `FIRST_ID` on are
cut into slots, and each world has one while it runs:

    slot 0         the keepers, which no app ever is
    slot 1 … 4095  one world each: the app is the slot's first id, the others are there for a root inside

K maps all of them to themselves, and `APP_ID` to the keepers' id, or to the user who started it. A slot is
held by a lock on one byte of a file that all supervisors of root share: an open file description lock, which
lasts until supervisor and keeper have both gone (fcntl_locking(2), F_OFD_SETLK). Where the file is another
one, in containers that share the host's ids, only the chance of the draw keeps slots apart.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from libos.kernel.namespaces import IdRange

# The id that the app, and nearly everything in K, has inside. The first user of most distributions.
APP_ID = 1000
# systemd's list of uid ranges (UIDS-GIDS) leaves 1879048192 to 2147483647 unused; a slot is as long as a
# container's range is there.
FIRST_ID = 1_879_048_192
SLOT = 65_536
SLOTS = 4096
_COUNT = SLOT * SLOTS


class Identity(NamedTuple):
    """Who an app is: its id in K, uid and gid alike, and the host's uid and gid behind that."""

    id: int
    uid: int
    gid: int
    # Ids from `id` on that are this world's alone: for a root inside.
    length: int = 1

    @property
    def owner(self) -> tuple[int, int]:
        """The host's (uid, gid)."""
        return self.uid, self.gid


def keeper_identity() -> Identity:
    """Who the keeper is, and every app that an ordinary user starts."""
    if serves_root():
        return Identity(APP_ID, FIRST_ID, FIRST_ID)
    return Identity(APP_ID, os.geteuid(), os.getegid())


def slot_identity(slot: int) -> Identity:
    """Who the app of the world with this slot is."""
    first = FIRST_ID + slot * SLOT
    return Identity(first, first, first, SLOT)


def host_ids() -> tuple[int, int]:
    """Give the host's (uid, gid) behind the keeper."""
    return keeper_identity().owner


def keeper_maps() -> tuple[list[IdRange], list[IdRange]]:
    """K's maps of uids and of gids."""
    uid, gid = host_ids()
    slots = [IdRange(FIRST_ID + 1, FIRST_ID + 1, _COUNT - 1)] if serves_root() else []
    return [IdRange(APP_ID, uid, 1), *slots], [IdRange(APP_ID, gid, 1), *slots]


def serves_root() -> bool:
    """Whether the caller is a root that can map ids other than its own.

    Root of a container that maps few ids is an ordinary user of the host and is treated as one.
    """
    return os.geteuid() == 0 and _are_mapped_here(FIRST_ID, FIRST_ID + _COUNT)


def _are_mapped_here(start: int, end: int) -> bool:
    with open("/proc/self/uid_map") as file:
        ranges = [tuple(map(int, line.split())) for line in file]
    return any(first <= start and end <= first + count for first, _, count in ranges)
