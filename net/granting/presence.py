"""Whether the app still waits on a connection from which nothing is read yet.

What the app has sent meanwhile stays in the kernel's buffer, so that a socket can be read says nothing: an
epoll(7) of its own tells of the peer's end and of resets alone.
"""

from __future__ import annotations

import fcntl
import select
import socket
import sys
import termios

import trio


async def gone(connection: socket.socket) -> None:
    """Return when the app has reset the connection, or has closed it without having said anything: who ends
    his side after a question may wait for the answer. The socket stays the caller's."""
    with select.epoll() as waiting:
        waiting.register(connection, select.EPOLLRDHUP)
        while True:
            await trio.lowlevel.wait_readable(waiting.fileno())
            for _, events in waiting.poll(0):
                if events & (select.EPOLLHUP | select.EPOLLERR) or not _pending(connection):
                    return
                waiting.modify(connection, 0)  # EPOLLHUP and EPOLLERR are always told


def _pending(connection: socket.socket) -> int:
    return int.from_bytes(fcntl.ioctl(connection, termios.FIONREAD, bytes(4)), sys.byteorder)
