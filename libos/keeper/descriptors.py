"""The descriptors that a program has from its start, and how it is told of them: sd_listen_fds(3).

They are opened by the program's own process, behind its walls and with its own rights, and stand from 3 on in
the order of the manifest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from fcntl import F_DUPFD_CLOEXEC, fcntl

from libos.keeper.walls import Walls

# SD_LISTEN_FDS_START of systemd/sd-daemon.h.
_FIRST = 3


def take(
    wanted: Sequence[tuple[str, str, int]], walls: Walls, move_report: Callable[[int], None]
) -> tuple[Walls, dict[str, str]]:
    """Open what is wanted, by name, path and flags, and give the variables that tell of it.

    What stood in its places is moved behind: the report, by `move_report`, and what the walls need. Raises
    OSError that names the path.
    """
    if not wanted:
        return walls, {}
    behind = _FIRST + len(wanted)
    if walls.intake_fd is not None:  # first: where there is one descriptor, the report takes its place
        walls = walls._replace(intake_fd=os.dup2(walls.intake_fd, behind + 1, inheritable=False))
    move_report(behind)
    above = [_open(path, flags, behind + 2) for _, path, flags in wanted]
    for number, fd in enumerate(above, _FIRST):
        os.dup2(fd, number)
        os.close(fd)
    names = ":".join(name for name, _, _ in wanted)
    told = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(wanted)), "LISTEN_FDNAMES": names}
    return walls, told


def _open(path: str, flags: int, lowest: int) -> int:
    try:
        fd = os.open(path, flags | os.O_CLOEXEC)
    except OSError as error:
        raise OSError(error.errno, f"descriptor {path}: {error.strerror}") from error
    try:
        return fcntl(fd, F_DUPFD_CLOEXEC, lowest)
    finally:
        os.close(fd)
