"""`via` an async Python function: it gets the stream that the app opened, in place of any outside.

    async def answer(stream: trio.SocketStream) -> None: ...
    async def answer(stream: trio.SocketStream, address: Address) -> None: ...

Rules:
- Each connection is a call of the function in a task of its own, which ends with the connection: after both
  directions have ended it has 5 s more, and when the grant is taken back none.
- When the function returns, its stream is closed: the app sees an end of file. When it raises, the app's
  connection is reset, and an event tells why.
- The stream is one of a pair of unix sockets: a function that does not read holds the app up, in memory that
  the kernel bounds. An app's reset is an end of file there.
"""

from __future__ import annotations

import inspect
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from libos.net.address import Address
from libos.net.sockets import Observe

# Seconds that a function has once its connection has ended.
_FINISH_SECONDS = 5.0


class ByFunction:
    """A way outside for `Rule.via`. `function` takes the stream, or the stream and the address."""

    def __init__(self, function: Callable[..., Awaitable[Any]]) -> None:
        self._function = function
        self._takes_address = _takes_two(function)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByFunction) and other._function == self._function

    def __hash__(self) -> int:
        return hash(self._function)

    def __str__(self) -> str:
        return f"function {getattr(self._function, '__qualname__', type(self._function).__name__)}"

    async def __call__(self, address: Address) -> socket.socket:
        """Never: a function needs a task; see `answering`."""
        raise NotImplementedError

    @asynccontextmanager
    async def answering(
        self, fields: dict[str, object], observe: Observe, fail: Callable[[str], None]
    ) -> AsyncIterator[Callable[[Address], Awaitable[socket.socket]]]:
        """Give what connects, for one connection. `fields` are those of its events; `fail` ends it, and says
        why."""

        async def answer(stream: trio.SocketStream, address: Address) -> None:
            try:
                await self._function(*((stream, address) if self._takes_address else (stream,)))
            except Exception as error:
                why = f"{self} failed: {error!r}"
                observe("error", {"operation": "dial", **fields, "error": why})
                fail(why)  # before the stream is closed, which would be an end of file
            finally:
                stream.socket.close()

        async def connect(address: Address) -> socket.socket:
            await trio.lowlevel.checkpoint()
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            nursery.start_soon(answer, trio.SocketStream(trio.socket.from_stdlib_socket(theirs)), address)
            return ours

        async with trio.open_nursery() as nursery:
            yield connect
            nursery.cancel_scope.deadline = trio.current_time() + _FINISH_SECONDS


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None, None)
    except (TypeError, ValueError):
        return False
    return True
