"""Who is at the other end of a control connection.

Rules:
- The kernel says it (SO_PEERCRED, SO_PEERPIDFD; unix(7)): for the server, who connected; for a client, who
  listens.
- The uid alone does not do. An app that an ordinary user starts has that user's uid, and reaches the control
  folder when somebody mounts /tmp or the runtime folder into its world; connect(2) takes no heed of
  read-only. So the other end must also live in no deeper pid namespace than this process: an app always
  does, and cannot leave it.
"""

from __future__ import annotations

import os
import socket
import struct

# struct ucred: pid, uid, gid (unix(7))
_UCRED = struct.Struct("3i")
# asm-generic/socket.h; Linux 6.5. Python has no name for it yet.
_SO_PEERPIDFD = 77


def is_own(connection: socket.socket) -> bool:
    """Whether the other end is a living process of this user outside all worlds."""
    pid, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    if uid != os.geteuid():
        return False
    try:
        return _depth(_peer_pidfd(connection, pid)) == _depth(os.pidfd_open(os.getpid()))
    except OSError:
        return False  # it has ended meanwhile


def _peer_pidfd(connection: socket.socket, pid: int) -> int:
    try:
        data = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD, struct.calcsize("i"))
        return int(struct.unpack("i", data)[0])
    except OSError:
        # Before Linux 6.5, by its number: that it ended and another got it just now cannot be told there.
        return os.pidfd_open(pid)


def _depth(pidfd: int) -> int:
    """Count the pid namespaces, from /proc's own, that a process has a number in; 0 when it has ended."""
    try:
        with open(f"/proc/self/fdinfo/{pidfd}") as info:
            numbers = next((line.split()[1:] for line in info if line.startswith("NSpid:")), [])
    finally:
        os.close(pidfd)
    return 0 if "-1" in numbers else len(numbers)
