"""The walls around a world's programs, one under another, and which of them this host can give.

They are the same for every plan but for its profile of system calls. What they do is `libos.keeper`'s part;
here they are named, for `libos explain`. A host that lacks the second wall is common, and the first holds
without it: it is no error, and it is never silent (here, in `libos doctor`, and as an event of each world).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from libos.keeper import second
from libos.keeper.identity import FIRST_ID, SLOT, SLOTS, serves_root
from libos.kernel import landlock
from libos.plan.rootids import root_ids

if TYPE_CHECKING:
    from libos.plan.model import Plan

# What `missing` events and `allow_missing` call it.
LANDLOCK = "landlock"
_NO_LANDLOCK = (
    "the kernel has no Landlock, or does not start it: the namespaces are the only wall there, "
    "and around the process of libos run there is none"
)


@dataclass(frozen=True)
class Wall:
    """One wall: by what it stands, and what it keeps. `holds` is False where this host lacks it."""

    wall: str
    mechanism: str
    keeps: str
    holds: bool = True


@dataclass(frozen=True)
class HostWalls:
    """What the walls depend on: whether root's worlds have ids of their own, the caller's uid, and the
    version of Landlock, 0 for none; why a root inside has no sub-ids, "" where it has them, None where nobody
    asked."""

    serves_root: bool
    uid: int
    landlock: int
    sub_ids_lack: str | None = None


@cache
def host_walls() -> HostWalls:
    """Ask this host. Raises OSError."""
    return HostWalls(serves_root(), os.geteuid(), landlock.abi())


def lacks(host: HostWalls) -> tuple[tuple[str, str], ...]:
    """What an event has to tell of each world here: the feature, and the reason."""
    return () if host.landlock >= landlock.ABI_REFER else ((LANDLOCK, _NO_LANDLOCK),)


def walls(plan: Plan, host: HostWalls) -> tuple[Wall, ...]:
    """All walls of a plan on a host, from the program outwards."""
    return (
        Wall("system calls", f"seccomp, {plan.syscalls.profile}", "what it does not allow is refused"),
        _second(host),
        _capabilities(plan),
        Wall("privileges", "no_new_privs", "set-user-id programs and file capabilities give nothing"),
        _user_namespace(plan, host),
        _identity(host),
        Wall("files", "mount namespace, pivot_root", "a path that is not mounted does not exist"),
        Wall(
            "/proc", "pid namespace, covered parts", "other processes; keys, timers; /proc/sys is read-only"
        ),
        Wall("devices", "read-only /dev, nodev", "null, zero, full, random, urandom, tty and own terminals"),
        Wall("network", "network namespace", "an address is reached where a grant listens, else refused"),
        Wall("ipc, uts, cgroup", "namespaces", "shared memory, host name and control groups of the host"),
        Wall("session", "setsid, close_range, execve", "no terminal, descriptor or variable of the caller's"),
        Wall(
            "shares",
            "rlimits and limits of the user namespace",
            "three quarters of its user's signals, timers, inotify, queues and locked memory for others",
        ),
        Wall("core dumps", "RLIMIT_CORE is 0", "no program of the host is started for a crash"),
        _own(plan, host),
    )


def _own(plan: Plan, host: HostWalls) -> Wall:
    """That around libos itself, where it is `libos run` or `libos up` (libos.cli.enclosing)."""
    if lacks(host):
        return Wall("libos run itself", "none", _NO_LANDLOCK, holds=False)
    if any(secret.command is not None for secret in plan.secrets):
        why = "a secret is printed by a command of the caller's, which libos run starts"
        return Wall("libos run itself", "none", why, holds=False)
    keeps = "files that are not granted, but the system's and libos's own; programs; tracing"
    return Wall("libos run itself", f"Landlock, ABI {host.landlock}", keeps)


def _capabilities(plan: Plan) -> Wall:
    if not plan.root:
        return Wall("capabilities", "none in all five sets", "no right of root's, and none to come")
    names = "chown, dac_override, fowner, fsetid, kill, setgid, setuid"
    return Wall("capabilities", names, "all others; these count in its own user namespace, over its own ids")


def _user_namespace(plan: Plan, host: HostWalls) -> Wall:
    if not plan.root:
        return Wall(
            "user namespace", "its own, one id mapped", "other ids do not exist; init and mounts are K's"
        )
    if host.serves_root:
        return Wall("user namespace", f"root, {SLOT} ids of its own", "other worlds; init and mounts are K's")
    found = root_ids(plan, 1, host.sub_ids_lack)
    if found.shared:
        ids = f"root, {found.length} ids: uid {host.uid} and its sub-ids"
        return Wall(
            "user namespace", ids, "others; init and mounts are K's. The user's worlds share the sub-ids"
        )
    why = f" ({found.why})" if found.why else ""
    return Wall(
        "user namespace",
        "root, one id mapped",
        f"other ids do not exist{why}: chown to one fails, and files of others than uid {host.uid} are "
        "nobody's",
    )


def _second(host: HostWalls) -> Wall:
    if lacks(host):
        return Wall("second wall", "none", _NO_LANDLOCK, holds=False)
    keeps = f"{second.holds(host.landlock)}, should another wall fail"
    return Wall("second wall", f"Landlock, ABI {host.landlock}", keeps)


def _identity(host: HostWalls) -> Wall:
    if host.serves_root:
        last = FIRST_ID + SLOT * SLOTS - 1
        return Wall("identity", f"an id of its own, {FIRST_ID} to {last}", "root's files; other worlds")
    return Wall("identity", f"uid {host.uid}, who starts it", "what that user may not do either")
