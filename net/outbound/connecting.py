"""From a way outside as people write it to what connects: a `Connect` of `libos.net.granting.rule`.

Whatever the way, it is tried for 30 s at most, leaves nothing open when it fails or is cancelled, and its
failure names the way.
"""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass

import trio

from libos.net.address import Address
from libos.net.outbound import outside
from libos.net.outbound.via import Proxy, UnixPath, Via

# Seconds between two attempts at a unix socket whose backlog is full: connect(2) gives EAGAIN then, and
# nothing tells when there is room.
_RETRY = 0.02


@dataclass(frozen=True)
class ByWay:
    """What connects by a way outside. Equal ways are equal."""

    via: Via

    def __str__(self) -> str:
        return str(self.via)

    async def __call__(self, address: Address) -> socket.socket:
        """A connected, non-blocking socket that leads to `address`. Raises OSError."""
        via = self.via
        try:
            with trio.fail_after(outside.DIAL_SECONDS):
                return await _connect(via, address)
        except trio.TooSlowError:
            raise OSError(errno.ETIMEDOUT, f"{os.strerror(errno.ETIMEDOUT)}: {via}") from None
        except OSError as error:
            text = error.strerror or str(error)
            raise OSError(error.errno, text if str(via) in text else f"{text}: {via}") from error


async def _connect(via: Via, address: Address) -> socket.socket:
    if isinstance(via, Address):
        return await outside.connect(via, private=True)  # who wrote the grant named it
    if isinstance(via, UnixPath):
        return await connect_unix(via.path)
    assert isinstance(via, Proxy)
    from libos.net.outbound.proxied import connect_through

    return await connect_through(via, address)


async def connect_unix(path: str) -> socket.socket:
    """A connected, non-blocking stream to a unix socket of the host; waits while its backlog is full.

    Raises OSError: connect(2)'s errno.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        while True:
            try:
                connection.connect(path)
                break
            except BlockingIOError:
                await trio.sleep(_RETRY)
    except BaseException:
        connection.close()
        raise
    return connection
