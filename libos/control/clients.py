"""Serving the clients of a control socket: who may ask, how many, for how long.

Rules:
- Only the user who runs the supervisor is answered, and no app: the socket stands in a private folder, and
  the kernel's word on who connected is checked as well (`peers`).
- A client can do no harm beyond what its requests mean: lines and descriptors have bounds (`wire`), a
  client that says nothing for REQUEST_SECONDS is dropped, MAX_CLIENTS are served at once and further ones
  are turned away, and no fault in one conversation reaches another or the supervisor.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable

import trio

from libos.control.channel import Channel
from libos.control.peers import is_own
from libos.control.wire import Message, ProtocolError, close_all
from libos.errors import LibosError

log = logging.getLogger("libos.control")

# Clients served at once: a person's tools, with room for a monitor and some terminals.
MAX_CLIENTS = 64
# Seconds in which a client says what it wants.
REQUEST_SECONDS = 10.0
# Seconds to wait when no descriptor is left to accept with, so that the loop does not spin.
_ACCEPT_PAUSE_SECONDS = 0.1

# Answers one request on its channel; the descriptors that came with it are closed afterwards. A LibosError
# becomes the answer "error", a ProtocolError or OSError ends the conversation.
Answer = Callable[[Channel, Message, list[int]], Awaitable[None]]


async def serve_clients(
    listener: socket.socket,
    answer: Answer,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer on the listening socket until cancelled."""
    listener.setblocking(False)
    async with trio.open_nursery() as clients:
        task_status.started()
        accepting = trio.socket.from_stdlib_socket(listener)
        while True:
            try:
                accepted, _ = await accepting.accept()
            except OSError as error:
                log.warning("accept on the control socket: %s", error)
                await trio.sleep(_ACCEPT_PAUSE_SECONDS)
                continue
            connection = socket.socket(fileno=accepted.detach())
            if len(clients.child_tasks) >= MAX_CLIENTS or not is_own(connection):
                connection.close()
                continue
            clients.start_soon(_converse, Channel(connection), answer)


async def _converse(channel: Channel, answer: Answer) -> None:
    """Hold one conversation; whatever goes wrong ends this one alone."""
    with channel:
        try:
            await _answer_requests(channel, answer)
        except (ProtocolError, OSError) as error:
            log.info("a control client was dropped: %s", error)
        except Exception:
            log.exception("a control conversation failed")


async def _answer_requests(channel: Channel, answer: Answer) -> None:
    while True:
        with trio.move_on_after(REQUEST_SECONDS) as waiting:
            received = await channel.receive()
        if waiting.cancelled_caught or received is None:
            return
        message, descriptors = received
        try:
            await answer(channel, message, descriptors)
        except LibosError as error:
            await channel.send({"answer": "error", "text": str(error), "exit_status": error.exit_status})
        finally:
            close_all(descriptors)
