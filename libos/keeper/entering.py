"""What a new init does before all else: it becomes who the app is, keeps the descriptors that are its own,
and enters the world's cgroups."""

from __future__ import annotations

import fcntl
import os
import socket

from libos.keeper.identity import APP_ID
from libos.kernel import namespaces, process

# The channel stands at the first descriptor after the standard three, the host trees behind it.
FIRST_FD = 3


def become(app: int) -> None:
    """Become the id of K that the app has, so that all that is made for the world is the app's. The
    capabilities stay: none of these ids is 0. Before all else, since it clears what dies with a parent."""
    if app != APP_ID:
        os.setresgid(app, app, app)
        os.setresuid(app, app, app)
        process.prctl("stay dumpable", process.PR_SET_DUMPABLE, 1)  # see inside.py


def keep_only(fds: list[int]) -> socket.socket:
    """Close all that the keeper had open but `fds`, which move to the first numbers. Needs one number more
    than there are: a limit that holds them holds the move."""
    places = {fd: index for index, fd in enumerate(fds)}
    for index, target in enumerate(range(FIRST_FD, FIRST_FD + len(fds))):
        if fds[index] == target:
            continue
        if (in_the_way := places.pop(target, None)) is not None:
            fds[in_the_way] = fcntl.fcntl(target, fcntl.F_DUPFD_CLOEXEC, FIRST_FD + len(fds))
        os.dup2(fds[index], target, inheritable=False)
        os.close(fds[index])
        places.pop(fds[index], None)
    process.close_from(FIRST_FD + len(fds))
    return socket.socket(fileno=FIRST_FD)


def enter_cgroups(fds: list[int], count: int) -> None:
    """Move into the world's cgroups by the last `count` of the descriptors, which are taken away; whatever
    init starts is born there. The cgroup namespace follows, so that nobody reads the way to it."""
    entries = fds[len(fds) - count :]
    del fds[len(fds) - count :]
    for fd in entries:
        try:
            os.write(fd, b"0")
        except OSError as error:
            raise OSError(error.errno, f"enter the cgroup of the limits: {error.strerror}") from error
        finally:
            os.close(fd)
    if entries:
        namespaces.unshare(namespaces.CLONE_NEWCGROUP)
