"""Answering on a world's control socket.

Rules:
- Who is answered, and within which bounds, stands in `clients`.
- A process that a client started ends with the client: its connection's end, however it comes, kills the
  process.

Requests: {"request": "status"}, {"request": "namespace"}, {"request": "signal", "number": N}, {"request":
"kill"}, {"request": "exec", "command": [...], "environment": {...} or null, "directory": "..." or null,
"terminal": [rows, columns] or null} with the three standard streams beside it unless there is a terminal.
What is asked about grants stands in `granting`; {"request": "connections"} and {"request": "stats"} are
answered as `App.connections` and `App.stats` say; {"request": "events"} stands in `telling`, {"request":
"launch"} in `launching`. Answers:
"status", "namespace", "done", "error" with "text" and "exit_status"; for exec "started" (with the terminal's
master), then "stopped" at each stop, at last "exit". While an exec runs, "signal" goes to its process.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import trio

from libos.app import App
from libos.control.answering import answer_asking, fitting
from libos.control.channel import Channel
from libos.control.clients import serve_clients
from libos.control.execution import execute, wanted_signal
from libos.control.granting import answer_granting
from libos.control.launching import launch
from libos.control.telling import tell_events
from libos.control.wire import Message, ProtocolError
from libos.namespace import Namespace

if TYPE_CHECKING:
    from libos.supervisor import Supervisor

# Seconds for a killed world to be gone and the answer to be taken.
_KILL_SECONDS = 10.0


async def serve(
    app: App,
    listener: socket.socket,
    description: Mapping[str, object],
    supervisor: Supervisor | None = None,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer on the listening socket until cancelled. `description` is added to the answer to "status";
    `supervisor` starts worlds below this one."""
    details = {"started": time.time(), "supervisor": os.getpid(), **description}

    async def answer(channel: Channel, message: Message, descriptors: list[int]) -> None:
        if message.get("request") == "launch" and supervisor is not None:
            await launch(channel, supervisor, app, message, descriptors, serve)
        else:
            await _answer(channel, app, details, message, descriptors)

    await serve_clients(listener, answer, task_status=task_status)


async def _answer(
    channel: Channel, app: App, details: Mapping[str, object], message: Message, descriptors: list[int]
) -> None:
    match message.get("request"):
        case "status":
            await channel.send({"answer": "status", "name": app.name, "pid": app.pid, **details})
        case "namespace" | "connections" | "stats":
            await channel.send(await _describe(app, message["request"]))
        case "grants" | "mount" | "unmount" | "dial" | "publish" | "revoke" | "narrow":
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
        case "events":
            await tell_events(channel, app)
        case "exec":
            await execute(channel, app, message, descriptors)
        case other:
            raise ProtocolError(f"this world knows no request {other!r}")


async def _describe(app: App, what: str) -> Message:
    if what == "namespace":
        return {"answer": what, "text": Namespace(app.grants.mounts()).text(app.plan.directory)}
    if what == "connections":
        return fitting(what, app.connections())
    return {"answer": what, **await app.stats()}
