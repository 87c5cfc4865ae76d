"""The listener on the loopback address, and the ASGI server on this trio loop.

Rules: the listener is made here, on 127.0.0.1 alone. A browser that takes nothing for STUCK_SECONDS is
dropped by the kernel: the server's own sends wait without end, and cannot be cancelled.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import trio

from libos.errors import LibosError
from libos.unwrap import unwrapped
from libos.view.access import Door
from libos.view.site import site

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from libos.view.showing import Showing

# Seconds in which a browser takes something of what was sent, before its connection ends. tcp(7),
# TCP_USER_TIMEOUT.
STUCK_SECONDS = 10
# Seconds that a request may last once the serving ends: none of them changes anything.
_GRACE_SECONDS = 0.1


class ViewError(LibosError):
    """The page cannot be served."""


@contextlib.contextmanager
def listen(port: int = 0) -> Iterator[socket.socket]:
    """Listen on 127.0.0.1 at this port, or at one that is free. Raises ViewError."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STUCK_SECONDS * 1000)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()
        except OSError as error:
            reason = error.strerror or error
            raise ViewError(
                f"127.0.0.1:{port}: {reason}; name another port, or 0 for any free one"
            ) from error
        yield listener


async def serve(
    app: ASGIApp, listener: socket.socket, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Answer on the listener until cancelled."""
    # Here and not above: 200 ms.
    from hypercorn.config import Config, Sockets
    from hypercorn.trio.run import worker_serve
    from hypercorn.utils import wrap_app

    config = Config()
    config.graceful_timeout = _GRACE_SECONDS
    config.include_server_header = False
    config.accesslog = config.errorlog = None
    listener.setblocking(False)
    sockets = Sockets(secure_sockets=[], insecure_sockets=[_duplicate(listener)], quic_sockets=[])
    wrapped = wrap_app(cast("Any", app), config.wsgi_max_body_size, "asgi")
    async with unwrapped(), trio.open_nursery() as nursery:
        await nursery.start(partial(worker_serve, wrapped, config, sockets=sockets))
        task_status.started()


def _duplicate(listener: socket.socket) -> socket.socket:
    """A listener of the server's own, which it closes."""
    return socket.socket(fileno=os.dup(listener.fileno()))


async def look(
    listener: socket.socket,
    showing: Showing,
    follow: Callable[[Showing], Awaitable[None]],
    *,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve a page of what `follow` shows until cancelled, also when that has come to its end. It has
    started, with its address, once that can be opened."""
    door = Door(listener.getsockname()[1])
    async with unwrapped(), trio.open_nursery() as nursery:
        await nursery.start(showing.run)
        await nursery.start(serve, site(door, showing.feeds, showing.page), listener)
        task_status.started(door.url)
        await follow(showing)
        await trio.sleep_forever()
