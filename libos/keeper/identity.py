"""Who a world's processes are: on the host, in the keeper's user namespace K, and to themselves.

In every world the app is uid 1000, gid 1000. K maps that id to one id of the host: to the caller's own, or,
when the caller is root, to an unprivileged one, since a process owned by the host's uid 0 may write
/proc/sys by ownership alone, whatever its capabilities.
"""

from __future__ import annotations

import os

# The id that the app, and nearly everything in K, has inside. The first user of most distributions.
APP_ID = 1000
# The id on the host when root starts libos. systemd's list of uid ranges (UIDS-GIDS) leaves 1879048192 to
# 2147483647 unused.
UNPRIVILEGED_ID = 1_900_001_000


def host_ids() -> tuple[int, int]:
    """Give the host's (uid, gid) behind a world's 1000:1000."""
    if serves_root():
        return UNPRIVILEGED_ID, UNPRIVILEGED_ID
    return os.geteuid(), os.getegid()


def serves_root() -> bool:
    """Whether the caller is a root that can map ids other than its own.

    Root of a container that maps few ids is an ordinary user of the host and is treated as one.
    """
    return os.geteuid() == 0 and _is_mapped_here(UNPRIVILEGED_ID)


def _is_mapped_here(uid: int) -> bool:
    with open("/proc/self/uid_map") as file:
        ranges = [tuple(map(int, line.split())) for line in file]
    return any(first <= uid < first + count for first, _, count in ranges)
