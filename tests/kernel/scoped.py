"""Tries to reach processes outside and inside a Landlock scope, with every capability in the user namespace
that all of them share: `scoped.py FOLDER [abstract] [signal]`. Prints what came of each attempt as JSON:
"done", or the errno's name. The scopes that are named are gone behind, and nothing else.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import NamedTuple

from libos.keeper import second
from libos.kernel import landlock, namespaces

SCOPES = {"abstract": landlock.SCOPE_ABSTRACT_UNIX_SOCKET, "signal": landlock.SCOPE_SIGNAL}


class Peer(NamedTuple):
    """A process that listens at abstract sockets and at one of a file."""

    name: str
    pid: int
    pidfd: int


def main(folder: str, *names: str) -> None:
    uid, gid = os.geteuid(), os.getegid()
    namespaces.unshare(namespaces.CLONE_NEWUSER)
    namespaces.write_id_maps("/proc/self", 0, uid, gid)
    os.chdir(folder)
    end = os.pipe()  # PR_SET_PDEATHSIG would be a signal from inside
    outside = start_peer("outside", end)
    if names:
        ruleset_fd = second.world_ruleset("/", sum(SCOPES[name] for name in names))
        assert ruleset_fd is not None
        landlock.restrict_self(ruleset_fd)
    inside = start_peer("inside", end)
    found = {
        f"{name} {peer.name}": outcome(attempt, peer)
        for peer in (outside, inside)
        for name, attempt in ATTEMPTS.items()
    }
    print(json.dumps(found))


def start_peer(name: str, end: tuple[int, int]) -> Peer:
    """Fork it; its sockets are there when this returns, and it ends when the pipe `end` does."""
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.bind(f"\0{os.getpid()}/{name}")
    datagram.bind(f"\0{os.getpid()}/{name}.datagram")
    plain.bind(name)
    for each in (stream, plain):
        each.listen()
    pid = os.fork()
    if pid == 0:
        os.close(end[1])
        os.read(end[0], 1)
        os._exit(0)
    return Peer(name, pid, os.pidfd_open(pid))


def outcome(attempt: Callable[[Peer], object], peer: Peer) -> str:
    try:
        attempt(peer)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def connect(address: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(address)


def send(address: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", address)


ATTEMPTS: dict[str, Callable[[Peer], object]] = {
    "kill": lambda peer: os.kill(peer.pid, signal.SIGCONT),
    "kill by pidfd": lambda peer: signal.pidfd_send_signal(peer.pidfd, signal.SIGWINCH),
    "abstract stream": lambda peer: connect(f"\0{os.getpid()}/{peer.name}"),
    "abstract datagram": lambda peer: send(f"\0{os.getpid()}/{peer.name}.datagram"),
    "socket of a file": lambda peer: connect(peer.name),
}

if __name__ == "__main__":
    main(*sys.argv[1:])
