"""Looking at processes that the supervisor may not trace any more: in a child, which answers and ends.

A look at every thread of the machine takes longer than a request for a file may wait, so it is a process of
its own. What it tells is what /proc shows to the caller's user anyway: which threads wait where, and which
sockets the programs of a world have open.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from libos.keeper import channel


class Looks:
    """The looks of one supervisor that are under way."""

    def __init__(self) -> None:
        self._children: list[int] = []

    def begin(self, message: channel.Message, fds: list[int]) -> None:
        """Look, and answer on the socket that came; it is still the caller's here. Where no child can be
        made, its end is the answer."""
        self._children = [pid for pid in self._children if os.waitpid(pid, os.WNOHANG) == (0, 0)]
        with suppress(OSError):
            pid = os.fork()
            if pid == 0:
                try:
                    with socket.socket(fileno=fds[0]) as answer:
                        channel.send(answer, _look(message))
                finally:
                    os._exit(0)
            self._children.append(pid)


def _look(message: channel.Message) -> channel.Message:
    from libos.kernel import pending, procfs  # only here: most supervisors never ask

    if message["look"] == "sockets":
        return {"sockets": procfs.open_sockets(int(message["init"]))}
    if message["look"] == "same":
        try:
            return {"same": os.path.samefile(f"/proc/{int(message['thread'])}/exe", message["path"])}
        except OSError:
            return {"same": False}
    seen = pending.look([int(thread) for thread in message["openers"]])
    return {"stuck": [list(each) for each in seen.stuck], "waiting": sorted(seen.waiting)}
