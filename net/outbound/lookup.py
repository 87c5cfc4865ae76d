"""Looks names up outside, by the host's own resolver, in threads.

Rules:
- getaddrinfo(3) cannot be interrupted: a thread that waits for a server that does not answer waits on, also
  when nobody waits for it any more. So lookups have threads of their own, a number of them a world: who
  makes them slow, by names whose servers are his, holds up himself, and never files or other worlds.
- trio's custom resolver is asked where one is set, and needs no thread.
"""

from __future__ import annotations

import errno
import socket
from functools import partial

import trio

# Lookups of one world at once; the next one waits.
WORLD_LOOKUPS = 16
# The same for what people name in `via` and `service`, of all worlds.
_NAMED_LOOKUPS = 16
_named: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("libos.net lookups")


async def look_up(host: str, port: int, kind: int, threads: trio.CapacityLimiter | None = None) -> list[str]:
    """The addresses of a name, in the resolver's order, each once; `kind` is a socket's type. `threads` are
    those of the world that asks. Raises OSError: ENOENT with the resolver's text for an unknown name."""
    # The only way to read it is to take it out; nothing else runs between the two.
    custom = trio.socket.set_custom_hostname_resolver(None)
    trio.socket.set_custom_hostname_resolver(custom)
    try:
        if custom is not None:
            found = await trio.socket.getaddrinfo(host, port, type=kind)
        else:
            ask = partial(socket.getaddrinfo, host, port, type=kind)
            found = await trio.to_thread.run_sync(ask, abandon_on_cancel=True, limiter=threads or _shared())
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else str(error)
        raise OSError(errno.ENOENT, f"the name {host} is not known outside ({reason})") from None
    return list(dict.fromkeys(str(where[0]) for *_, where in found if where))


def _shared() -> trio.CapacityLimiter:
    try:
        return _named.get()
    except LookupError:
        made = trio.CapacityLimiter(_NAMED_LOOKUPS)
        _named.set(made)
        return made
