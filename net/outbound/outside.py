"""Connects to the outside, from the supervisor's own network namespace, when an app asks for it."""

from __future__ import annotations

import errno
import os
import socket

import trio

from libos.net.address import Address
from libos.net.sockets import family_of, tune

# Seconds for looking a name up and connecting: Go's net/http gives its dialer as many (DefaultTransport).
DIAL_SECONDS = 30.0


async def connect(address: Address) -> socket.socket:
    """A connected, non-blocking socket to `address`; names are resolved now, and several addresses are tried.

    Raises OSError: connect(2)'s errno, ETIMEDOUT after 30 s, ENOENT with the resolver's text for an
    unknown name. Cancellation leaves no descriptor.
    """
    try:
        if address.literal is not None:
            return await _connect_literal(address.host, address.port)
        with trio.fail_after(DIAL_SECONDS):
            return await _connect_name(address.host, address.port)
    except trio.TooSlowError:
        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None


async def connect_socket(connection: socket.socket, host: str, port: int, seconds: float) -> None:
    """connect(2) of a socket that is there already. The socket stays the caller's.

    Raises OSError: ETIMEDOUT after `seconds`. No checkpoint where the connection is there at once.
    """
    connection.setblocking(False)
    number = connection.connect_ex((host, port))
    if number == errno.EINPROGRESS:  # asked again, a connection that is there at once (loopback) says 0
        number = connection.connect_ex((host, port))
    if number == errno.EALREADY:
        with trio.move_on_after(seconds) as scope:
            await trio.lowlevel.wait_writable(connection)
        number = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if scope.cancelled_caught:
            number = errno.ETIMEDOUT
    if number:
        raise OSError(number, os.strerror(number))


async def _connect_literal(host: str, port: int) -> socket.socket:
    connection = socket.socket(family_of(host), socket.SOCK_STREAM)
    try:
        await connect_socket(connection, host, port, DIAL_SECONDS)
        tune(connection)
    except BaseException:
        connection.close()
        raise
    return connection


async def _connect_name(host: str, port: int) -> socket.socket:
    try:
        stream = await trio.open_tcp_stream(host, port)  # happy eyeballs: RFC 8305
    except socket.gaierror as error:
        raise OSError(errno.ENOENT, f"the name {host} is not known outside ({error.strerror})") from None
    except OSError as error:
        raise _first_cause(error) from None
    # No checkpoint from here on: the descriptor changes hands.
    connection = socket.socket(fileno=stream.socket.detach())
    try:
        tune(connection)
    except OSError:
        connection.close()
        raise
    return connection


def _first_cause(error: OSError) -> OSError:
    """trio says "all attempts failed" without an errno and keeps the attempts' own errors as its cause."""
    cause = error.__cause__
    causes = cause.exceptions if isinstance(cause, BaseExceptionGroup) else (cause,)
    for attempt in causes:
        if isinstance(attempt, OSError) and attempt.errno:
            return attempt
    return error
