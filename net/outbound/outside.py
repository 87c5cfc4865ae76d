"""Connects to the outside, from the supervisor's own network namespace, when an app asks for it.

Rules:
- A name is looked up once a connection, and what it led to is what is connected to: nobody can answer once
  for the check and otherwise for the connection (DNS rebinding).
- A name leads to public addresses alone, unless its grant says that it is private: who answers for a public
  name could otherwise lead the app to this machine or to its neighbours. A literal address means itself, and
  `localhost` the loopback addresses (RFC 6761, section 6.3); both were named by the grant.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Callable
from functools import partial

import trio

from libos.net.address import Address
from libos.net.naming.names import is_localhost
from libos.net.outbound.lookup import look_up
from libos.net.outbound.public import is_public
from libos.net.outbound.racing import race
from libos.net.sockets import family_of, ipv6_works, tune

# Seconds for looking a name up and connecting: Go's net/http gives its dialer as many (DefaultTransport).
DIAL_SECONDS = 30.0
# Told what a name led to: the addresses that are tried, and those that are left out.
Resolved = Callable[[list[str], list[str]], None]
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


async def connect(
    address: Address,
    *,
    private: bool = False,
    resolved: Resolved | None = None,
    threads: trio.CapacityLimiter | None = None,
) -> socket.socket:
    """A connected, non-blocking socket to `address`, a stream for tcp and datagrams for udp. Names are looked
    up now, in `threads`, of which `resolved` is told; with `private` they may lead anywhere.

    Raises OSError: connect(2)'s errno, ETIMEDOUT after 30 s, ENOENT with the resolver's text for an
    unknown name, EACCES for a name that leads to private addresses only. Cancellation leaves no descriptor.
    """
    if address.literal is not None:
        return await _connect_literal(address.network, address.port, address.host)
    try:
        with trio.fail_after(DIAL_SECONDS):
            hosts = await addresses(address, private=private, resolved=resolved, threads=threads)
            return await race(hosts, partial(_connect_literal, address.network, address.port))
    except trio.TooSlowError:
        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None


async def addresses(
    address: Address,
    *,
    private: bool,
    resolved: Resolved | None = None,
    threads: trio.CapacityLimiter | None = None,
) -> list[str]:
    """The addresses outside to which a name may lead, in the resolver's order; at least one.

    Raises OSError: ENOENT, EACCES as `connect` does.
    """
    if is_localhost(address.host):
        return _loopback(address.network)
    hosts = await look_up(address.host, address.port, _KINDS[address.network], threads)
    allowed = [host for host in hosts if private or _is_public(host)]
    if resolved is not None:
        resolved(allowed, [host for host in hosts if host not in allowed])
    if not allowed:
        raise _private_error(address.host, hosts)
    return allowed


def _loopback(network: str) -> list[str]:
    """The addresses of localhost. Datagrams go to the first alone, as no handshake tells who is there: to
    the one on which services of one machine mostly listen."""
    if not ipv6_works():
        return ["127.0.0.1"]
    return ["::1", "127.0.0.1"] if network == "tcp" else ["127.0.0.1", "::1"]


async def connect_socket(connection: socket.socket, host: str, port: int, seconds: float) -> None:
    """connect(2) of a socket that is there already. The socket stays the caller's.

    Raises OSError: ETIMEDOUT after `seconds`. No checkpoint where the connection is there at once.
    """
    if connection.gettimeout() != 0:
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


async def _connect_literal(network: str, port: int, host: str) -> socket.socket:
    connection = socket.socket(family_of(host), _KINDS[network] | socket.SOCK_NONBLOCK)
    try:
        await connect_socket(connection, host, port, DIAL_SECONDS)
        if network == "tcp":
            tune(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_public(host: str) -> bool:
    try:
        return is_public(ipaddress.ip_address(host))  # with a zone (fe80::1%eth0) too
    except ValueError:
        return False


def _private_error(name: str, hosts: list[str]) -> OSError:
    found = ", ".join(hosts[:3]) + (" and others" if len(hosts) > 3 else "")
    plural = "addresses that are" if len(hosts) > 1 else "an address that is"
    return OSError(
        errno.EACCES,
        f"{os.strerror(errno.EACCES)}: the name {name} leads to {plural} not public ({found}): "
        "allow it by private = true in its grant",
    )
