"""A root inside: how a program becomes uid 0 of its own user namespace, and what that root may.

It has the ids of its world and no others: 0 is the app's id in K, and 1 to 65535 are the rest of the world's
slot in the worlds of a host's root (identity.py), and a user's sub-ids where he has some (subids.py). Its
rights count over those ids, in that namespace, and nowhere else: the mounts, the network, init and all other
worlds are K's.
"""

from __future__ import annotations

import errno
import os
import resource

from libos.keeper.identity import APP_ID
from libos.kernel import namespaces, process
from libos.kernel.namespaces import IdRange

# What installing a package takes: to own, to write and to change what belongs to other ids of the world,
# and to become one of them. Nothing that the namespaces of K would have to answer for: no sys_admin, net_* or
# sys_chroot; no mknod, which Landlock refuses too; no setfcap, whose attributes would mean something outside.
CAPABILITIES = frozenset(
    (
        *(process.CAP_CHOWN, process.CAP_DAC_OVERRIDE, process.CAP_FOWNER, process.CAP_FSETID),
        *(process.CAP_KILL, process.CAP_SETGID, process.CAP_SETUID),
    )
)


def enter(app: int, length: int, proc: str, processes: int | None) -> None:
    """Enter a user namespace as its uid and gid 0, which is `app` in K, with `length` ids. `proc` is a
    mounted /proc; `processes` bounds all ids together where a resource limit counts. Raises OSError."""
    if length == 1:
        namespaces.unshare(namespaces.CLONE_NEWUSER)
        namespaces.write_id_maps(f"{proc}/self", 0, app, app)
        return
    if app == APP_ID:
        # Who is the user in K is so in all his worlds: between them stands a namespace in which the processes
        # of this one alone are counted.
        _enter_mapped(_own_and_others(app, length), proc, None)
        _enter_mapped(_own_and_others(0, length), proc, processes)
    else:
        _enter_mapped([IdRange(0, app, length)], proc, processes)


def _own_and_others(app: int, length: int) -> list[IdRange]:
    """What lies in two ranges outside cannot be one inside: user_namespaces(7)."""
    return [IdRange(0, app, 1), IdRange(1, app + 1, length - 1)]


def _enter_mapped(ids: list[IdRange], proc: str, processes: int | None) -> None:
    ours = os.readlink(f"{proc}/self")
    done_fd, tell_fd = os.pipe2(os.O_CLOEXEC)
    # More than the own id is mapped by who has the right in K, which this process is about to give up.
    mapper = os.fork()
    if mapper == 0:
        _map(f"{proc}/{ours}", ids, done_fd, tell_fd)
    os.close(done_fd)
    if processes is not None:
        # Before the namespace is made it counts for all its ids together: else each would have its own count.
        # The id is this world's alone, here.
        hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        most = processes if hard == resource.RLIM_INFINITY else min(processes, hard)
        resource.setrlimit(resource.RLIMIT_NPROC, (most, hard))
    try:
        namespaces.unshare(namespaces.CLONE_NEWUSER)
        os.write(tell_fd, b"1")
    finally:
        os.close(tell_fd)
        _, status = os.waitpid(mapper, 0)
    if status:
        number = os.waitstatus_to_exitcode(status)
        number = number if number > 0 else errno.ECHILD
        raise OSError(number, f"map the ids of a root inside: {os.strerror(number)}")


def _map(folder: str, ids: list[IdRange], done_fd: int, tell_fd: int) -> None:
    """Write the maps once the other process is in its namespace; ends with the errno of what failed."""
    status = errno.EIO
    try:
        os.close(tell_fd)
        if os.read(done_fd, 1):
            namespaces.write_id_ranges(folder, ids, ids, groups=True)
            status = 0
    except OSError as error:
        status = error.errno or errno.EIO
    finally:
        os._exit(status)
