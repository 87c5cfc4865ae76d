"""The walls around an app, in the order in which they go up, in the process that becomes it.

A session of its own; a user namespace below K in which it is itself and nobody else, or root with the ids of
its world (superuser.py); a share of what its user has (shares.py); default signals; no core dumps; no
capabilities, or a root's few over those ids; no new privileges; Landlock, where the kernel has it
(second.py); the seccomp filter, and below it the one that tells of listen(2) where that is wanted
(hearing.py). A filter that does not allow what an exec is prepared with goes up last of all, in `finish`.
Whoever calls this execs next or ends: nothing runs behind half the walls.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from libos.keeper import hearing, refusals, shares, superuser
from libos.keeper.identity import APP_ID
from libos.kernel import landlock, namespaces, process

# Python ignores the first two, and exec would keep that; init and the keeper handle or ignore the others.
_CHANGED_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
# Of libos's own, in a world: what `libos.limits` counts, and who writes the id map of a root inside.
_OWN_PROCESSES = 5


class Walls(NamedTuple):
    """What differs between worlds: the filter, the app's id in K, where the listener of the filter for
    listen(2) goes, and whether the filter comes last of all, right before execve(2); resource limits by name,
    each soft and hard."""

    filter: bytes
    app: int = APP_ID
    # Landlock's layer of the world's programs; None where the kernel has none (second.py).
    ruleset_fd: int | None = None
    intake_fd: int | None = None
    filter_last: bool = False
    # The filter notifies: of what it refuses (refusals.py), or of calls that the supervisor answers. It is
    # the one for listen(2) too, and always last.
    tells: bool = False
    rlimits: Sequence[tuple[str, int]] = ()
    # How many ids a root inside has (superuser.py); 0 where the app is no root.
    root: int = 0
    # A /proc/sys that can be written, for the world's share of what its user has (shares.py).
    sys_fd: int | None = None

    @property
    def fds(self) -> tuple[int, ...]:
        """The descriptors that a child needs to become this."""
        return tuple(fd for fd in (self.intake_fd, self.ruleset_fd, self.sys_fd) if fd is not None)

    def moved(self, places: Mapping[int | None, int]) -> Walls:
        """The same where the descriptors have other numbers."""
        intake_fd, ruleset_fd = places.get(self.intake_fd), places.get(self.ruleset_fd)
        return self._replace(intake_fd=intake_fd, ruleset_fd=ruleset_fd, sys_fd=places.get(self.sys_fd))


def raise_walls(walls: Walls, proc: str) -> Walls:
    """Put all walls up that come before `finish`, and give what that needs. `proc` is a mounted /proc.

    Raises OSError.
    """
    # What init forked later is as undumpable as init, and /proc/self/uid_map then is root's.
    process.prctl("become dumpable", process.PR_SET_DUMPABLE, 1)
    if walls.root:
        superuser.enter(walls.app, walls.root, proc, _most_processes(walls.rlimits))
    else:
        namespaces.unshare(namespaces.CLONE_NEWUSER)
        namespaces.write_id_maps(f"{proc}/self", APP_ID, walls.app, walls.app)
    if walls.sys_fd is not None:
        shares.take(walls.sys_fd)
        os.close(walls.sys_fd)
    for number in _CHANGED_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit(walls.rlimits)
    process.drop_capabilities(superuser.CAPABILITIES if walls.root else ())
    process.set_no_new_privileges()
    if walls.ruleset_fd is not None:
        landlock.restrict_self(walls.ruleset_fd)
        os.close(walls.ruleset_fd)
    if walls.tells:
        assert walls.intake_fd is not None
        return walls._replace(intake_fd=refusals.offer(walls.intake_fd))
    if walls.intake_fd is not None:
        hearing.tell(walls.intake_fd)
    if not walls.filter_last:
        process.load_seccomp_filter(walls.filter)
    return walls._replace(intake_fd=None)


def _most_processes(limits: Sequence[tuple[str, int]]) -> int | None:
    """What all processes of the world may be, libos's own among them, where a resource limit says so."""
    return next((value + _OWN_PROCESSES for name, value in limits if name == "nproc"), None)


def _limit(limits: Sequence[tuple[str, int]]) -> None:
    """Set the resource limits, none above what this process may have. getrlimit(2).

    In the app's own user namespace: the number of processes is then counted there. Set before the namespace
    is made, it would bound all processes of the user in K, those of other worlds too. user_namespaces(7).
    """
    for name, value in limits:
        kind = getattr(resource, f"RLIMIT_{name.upper()}")
        hard = resource.getrlimit(kind)[1]
        most = hard if hard != resource.RLIM_INFINITY else value + 1
        # SIGXCPU comes at the soft limit and SIGKILL at the hard one: a second lies between.
        resource.setrlimit(kind, (min(value, most), min(value + (name == "cpu"), most)))


def finish(walls: Walls) -> None:
    """Put up what is still missing. After it only execve(2) and an end are sure to work. Raises OSError."""
    if walls.intake_fd is not None:
        refusals.load(walls.filter, walls.intake_fd)
    elif walls.filter_last:
        process.load_seccomp_filter(walls.filter)
