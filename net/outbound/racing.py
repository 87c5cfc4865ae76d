"""Connects to whichever of several addresses answers first, as RFC 8305 ("Happy Eyeballs") says.

Rules:
- The addresses are those that were checked: no name is looked up here.
- Attempts begin one after another, the next one 250 ms later or as soon as one has failed; the first
  connection wins and the others are closed.
- Where all fail, the error is that of the first address: it is the one that the resolver preferred.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, zip_longest

import trio

from libos.net.sockets import family_of

# Seconds until the next attempt: RFC 8305, section 5, "Connection Attempt Delay".
STAGGER = 0.25


def interleaved(hosts: Sequence[str]) -> list[str]:
    """The families in turn, beginning with that of the first address: RFC 8305, section 4."""
    first = [host for host in hosts if family_of(host) == family_of(hosts[0])]
    other = [host for host in hosts if family_of(host) != family_of(hosts[0])]
    return [host for host in chain(*zip_longest(first, other)) if host is not None]


async def race(hosts: Sequence[str], connect: Callable[[str], Awaitable[socket.socket]]) -> socket.socket:
    """The first connection that `connect` makes to one of `hosts`, of which there is at least one.

    Raises OSError where none can be made. Cancellation leaves no descriptor.
    """
    if len(hosts) == 1:
        return await connect(hosts[0])
    won: list[socket.socket] = []
    errors: dict[str, OSError] = {}

    async def attempt(host: str, failed: trio.Event, nursery: trio.Nursery) -> None:
        try:
            connection = await connect(host)
        except OSError as error:
            errors[host] = error
            failed.set()
            return
        won.append(connection)
        nursery.cancel_scope.cancel()

    hosts = interleaved(hosts)
    try:
        async with trio.open_nursery() as nursery:
            for host in hosts:
                failed = trio.Event()
                nursery.start_soon(attempt, host, failed, nursery)
                with trio.move_on_after(STAGGER):
                    await failed.wait()
    except BaseException:
        _close(won)
        raise
    if not won:
        raise errors[hosts[0]]
    _close(won[1:])  # another one may have got through in the same turn
    return won[0]


def _close(connections: Sequence[socket.socket]) -> None:
    for connection in connections:
        connection.close()
