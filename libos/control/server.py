"""Answering on a world's control socket.

Rules:
- Only the user who runs the supervisor is answered, and no app: the socket stands in a private folder, and
  the kernel's word on who connected is checked as well (`peers`).
- A client can do no harm beyond what its requests mean: lines and descriptors have bounds (`wire`), a
  client that says nothing for REQUEST_SECONDS is dropped, MAX_CLIENTS are served at once and further ones
  are turned away, and no fault in one conversation reaches another or the supervisor.
- A process that a client started ends with the client: its connection's end, however it comes, kills the
  process.

Requests: {"request": "status"}, {"request": "namespace"}, {"request": "signal", "number": N}, {"request":
"kill"}, {"request": "exec", "command": [...], "environment": {...} or null, "directory": "..." or null,
"terminal": [rows, columns] or null} with the three standard streams beside it unless there is a terminal.
What is asked about grants stands in `granting`. Answers: "status", "namespace", "done", "error" with
"text" and "exit_status"; for exec "started" (with the terminal's master), then "stopped" at each stop, at
last "exit". While an exec runs, "signal" goes to its process.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

import trio

from libos.app import App
from libos.control.answering import answer_asking
from libos.control.channel import Channel
from libos.control.execution import execute, wanted_signal
from libos.control.granting import answer_granting
from libos.control.peers import is_own
from libos.control.wire import Message, ProtocolError, close_all
from libos.errors import LibosError
from libos.namespace import Namespace

log = logging.getLogger("libos.control")

# Clients served at once: a person's tools, with room for a monitor and some terminals.
MAX_CLIENTS = 64
# Seconds in which a client says what it wants.
REQUEST_SECONDS = 10.0
# Seconds to wait when no descriptor is left to accept with, so that the loop does not spin.
_ACCEPT_PAUSE_SECONDS = 0.1
# Seconds for a killed world to be gone and the answer to be taken.
_KILL_SECONDS = 10.0


async def serve(
    app: App,
    listener: socket.socket,
    description: Mapping[str, object],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer on the listening socket until cancelled. `description` is added to the answer to "status"."""
    listener.setblocking(False)
    begun = time.time()
    details = {"started": begun, "supervisor": os.getpid(), **description}
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
            clients.start_soon(_converse, Channel(connection), app, details)


async def _converse(channel: Channel, app: App, details: Mapping[str, object]) -> None:
    """Hold one conversation; whatever goes wrong ends this one alone."""
    with channel:
        try:
            await _answer_requests(channel, app, details)
        except (ProtocolError, OSError) as error:
            log.info("a control client was dropped: %s", error)
        except Exception:
            log.exception("a control conversation failed")


async def _answer_requests(channel: Channel, app: App, details: Mapping[str, object]) -> None:
    while True:
        with trio.move_on_after(REQUEST_SECONDS) as waiting:
            received = await channel.receive()
        if waiting.cancelled_caught or received is None:
            return
        message, descriptors = received
        try:
            await _answer(channel, app, details, message, descriptors)
        except LibosError as error:
            await channel.send({"answer": "error", "text": str(error), "exit_status": error.exit_status})
        finally:
            close_all(descriptors)


async def _answer(
    channel: Channel, app: App, details: Mapping[str, object], message: Message, descriptors: list[int]
) -> None:
    match message.get("request"):
        case "status":
            await channel.send({"answer": "status", "name": app.name, "pid": app.pid, **details})
        case "namespace":
            text = Namespace(app.grants.mounts()).text(app.plan.directory)
            await channel.send({"answer": "namespace", "text": text})
        case "grants" | "mount" | "unmount" | "revoke":
            await channel.send(await answer_granting(app, message))
        case "questions" | "answer":
            await channel.send(await answer_asking(app, message))
        case "signal":
            await app.send_signal(wanted_signal(message))
            await channel.send({"answer": "done"})
        case "kill":
            # The world's end cancels this conversation, whose client still waits for the answer.
            with trio.move_on_after(_KILL_SECONDS, shield=True):
                await app.kill()
                await channel.send({"answer": "done"})
        case "exec":
            await execute(channel, app, message, descriptors)
        case other:
            raise ProtocolError(f"this world knows no request {other!r}")
