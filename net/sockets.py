"""Sockets of a world: what is asked of its init, and the few options and endings that all of this package
shares.

Rules:
- Sockets here are plain, non-blocking and CLOEXEC; trio is used to wait for them and never to wrap them.
- Whoever asked for a socket closes it, on every way out.
"""

from __future__ import annotations

import errno
import functools
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import TypeAlias

# What socket(2) takes: (family, type, protocol).
Spec: TypeAlias = tuple[int, int, int]
# Makes sockets in a world's network namespace, all or none, in the order asked. It raises OSError
# (socket(2)'s errno, or EPIPE where the world has ended), may be called by several tasks at once, and
# leaves nothing open when cancelled.
OpenSockets: TypeAlias = Callable[[list[Spec]], Awaitable[list[socket.socket]]]
# Takes an event: its kind and its fields, which are JSON values. It never waits and never raises.
Observe: TypeAlias = Callable[[str, dict[str, object]], None]

# Seconds until the first probe of a silent peer, between probes, and probes: a peer that vanished is
# noticed within two minutes, where tcp(7)'s default is two hours.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))
# struct linger {on, 0 seconds}: close(2) then sends RST and drops what was not sent: socket(7).
_ABORT = struct.pack("ii", 1, 0)


@functools.cache
def ipv6_works() -> bool:
    """Whether this kernel makes IPv6 sockets; worlds then have IPv6 too."""
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close()
    except OSError as error:
        return error.errno != errno.EAFNOSUPPORT
    return True


def family_of(host: str) -> int:
    """The socket family of a literal address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def tune(connection: socket.socket) -> None:
    """Make a TCP connection ready to be relayed: non-blocking, without delays, probed when silent.

    A tuned listener's connections need setblocking() alone: tcp(7)'s options are inherited.
    """
    if connection.gettimeout() != 0:
        connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


def abort(connection: socket.socket) -> None:
    """Close a TCP connection by a reset: its peer sees an error (ECONNRESET) and not an end of file."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    except OSError:
        pass  # the connection is gone already
    connection.close()


def listen_at(listener: socket.socket, host: str, port: int, backlog: int = 4096) -> None:
    """Bind a stream socket to a literal address and listen; it is tuned, and so are its connections.

    The kernel cuts the backlog to net.core.somaxconn. Raises OSError (EADDRINUSE, EADDRNOTAVAIL, EACCES).
    """
    tune(listener)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if listener.family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind((host, port))
    listener.listen(backlog)


def describe(error: OSError) -> str:
    """An error's name and text for an event: `ECONNREFUSED: Connection refused`."""
    number = error.errno
    if number is None or number not in errno.errorcode:
        return error.strerror or str(error) or type(error).__name__
    return f"{errno.errorcode[number]}: {error.strerror}"
