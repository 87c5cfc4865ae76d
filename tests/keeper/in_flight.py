"""Openings while descriptors are on their way that a process of the same user has sent: unix(7),
ETOOMANYREFS. Prints what becomes of each request as JSON: "done", or the name of its errno.

The limit that counts is the sender's own (RLIMIT_NOFILE): here that of one of the two processes alone.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import select
import signal
import socket
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from libos.keeper import channel
from libos.keeper.outside import Beyond
from libos.worlds import outside

FEW, SENT = 64, 253


def limit(descriptors: int) -> None:
    """Set this process's own limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))


@contextmanager
def on_their_way() -> Iterator[None]:
    """More descriptors than `FEW` are on their way in the block."""
    ours, theirs = socket.socketpair()
    with ours, theirs, open(os.devnull) as file:  # no socket: those are collected later
        socket.send_fds(ours, [b"x"], [file.fileno()] * SENT)
        yield


def serve(end: socket.socket) -> None:
    """Answer as the keeper's outside half does, with a limit that is soon reached."""
    limit(FEW)
    beyond = Beyond(end)
    while (received := channel.receive(end)) is not None:
        beyond.serve(*received)


def main() -> None:
    """Ask for the same file again and again."""
    outside._TIMEOUT = struct.pack("@ll", 1, 0)  # seconds
    ours, theirs = channel.pair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        serve(theirs)
        os._exit(0)
    theirs.close()
    asked = outside.Outside(ours)
    asked.enclosed(outside.Enclosure(lambda directory_fd, writable: False))
    with tempfile.NamedTemporaryFile() as file:
        folder_fd = os.open(os.path.dirname(file.name), os.O_PATH)
        opening = asked.opening(folder_fd, writable=True, owner=(os.geteuid(), os.getegid()))
        file_fd = os.open(file.name, os.O_PATH)

        def attempt() -> str:
            try:
                os.close(opening.open(file_fd, os.O_RDONLY))
            except OSError as error:
                return errno.errorcode[error.errno or 0]
            return "done"

        found = {"first": attempt()}
        with on_their_way():
            found["an answer that cannot go"] = attempt()
        found["after it"] = attempt()
        with on_their_way():
            soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            limit(FEW)
            found["a request that cannot go"] = attempt()
            limit(soft)
        found["after that"] = attempt()
        os.kill(pid, signal.SIGSTOP)
        found["none answers in time"] = attempt()
        found["nor yet"] = attempt()
        os.kill(pid, signal.SIGCONT)
        select.select([ours], [], [])
        found["after the late answer"] = attempt()
    ours.close()
    os.waitpid(pid, 0)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
