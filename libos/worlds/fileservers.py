"""File servers that are processes of their own: the root of what one serves, dialed from outside of worlds.

Each mount has a connection of its own, so a server that is slow for one is so for no other. What is dialed is
what the manifest names, wherever it is; the app has no part in it.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import trio

from libos.errors import HostError

if TYPE_CHECKING:
    from libos.fs.node import Node


async def of_server(to: str, at: str, stack: ExitStack, *, writable: bool) -> Node:
    """Give the root of what the server at "unix!/PATH" or "tcp!HOST!PORT" serves; `stack` hangs up. Raises
    HostError where none answers."""
    from libos.fs.p9.mounting import mounted
    from libos.net.address import Address
    from libos.net.outbound.service import parse_service

    way = parse_service(to)

    async def dial() -> trio.SocketStream:
        return trio.SocketStream(trio.socket.from_stdlib_socket(await way(Address("unix", "", 0))))

    try:
        root = await mounted(dial, writable=writable)
    except OSError as error:
        raise HostError(
            f'the mount at "{at}": no file server of 9P2000.L answers: {_reason(error, to)}; '
            "start one there first: libos exportfs serves a folder"
        ) from error
    stack.callback(root.close)
    return root


def _reason(error: OSError, to: str) -> str:
    text = error.strerror or str(error)
    return text if to in text else f"{text}: {to}"
