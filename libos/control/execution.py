"""A further process in a running world, started for one client of the control socket.

Rules: the process lives as long as its client's connection; its standard streams are the client's own
descriptors, and of a terminal the client gets the master, so the process's data never passes through the
supervisor.
"""

from __future__ import annotations

import signal
from typing import Any

import trio

from libos.app import App, Process
from libos.control.channel import Channel
from libos.control.wire import Message, ProtocolError
from libos.worlds.world import Change

# Standard input, output and error.
_STREAMS = 3
# Seconds in which a process whose client went away is killed.
_KILL_SECONDS = 1.0


def wanted_signal(message: Message) -> signal.Signals:
    """Give the signal that a request names by its number. Raises ProtocolError."""
    number = message.get("number")
    try:
        return signal.Signals(number)  # type: ignore[arg-type] # whatever it is, only a signal's number passes
    except ValueError as error:
        raise ProtocolError(f"{number!r} is not the number of a signal") from error


async def execute(channel: Channel, app: App, message: Message, descriptors: list[int]) -> None:
    """Start the process that `message` asks for, tell the client what becomes of it, and return after its
    end.

    The descriptors stay the caller's. Raises ProtocolError, and CommandError where the process cannot be
    started.
    """
    process = await app.exec(_command(message), **_options(app, message, descriptors))
    try:
        await converse(channel, process)
    finally:
        with trio.move_on_after(_KILL_SECONDS, shield=True):
            await process.send_signal(signal.SIGKILL)
            await process.aclose()


async def converse(channel: Channel, process: Process) -> None:
    """Tell the client what becomes of a process, and do as it says, until one of the two is gone."""
    async with trio.open_nursery() as nursery:
        await _tell_start(channel, process)
        nursery.start_soon(_tell_stops, channel, process)
        nursery.start_soon(_tell_exit, channel, process, nursery.cancel_scope)
        await _obey(channel, process)
        nursery.cancel_scope.cancel()


def _command(message: Message) -> list[str]:
    command = message.get("command")
    if not (isinstance(command, list) and command and all(isinstance(word, str) for word in command)):
        raise ProtocolError("exec needs a command: a list of strings")
    return command


def _options(app: App, message: Message, descriptors: list[int]) -> dict[str, Any]:
    environment, directory = message.get("environment"), message.get("directory")
    if environment is not None and not (isinstance(environment, dict) and _all_strings(environment)):
        raise ProtocolError("exec's environment is an object of strings")
    if directory is not None and not isinstance(directory, str):
        raise ProtocolError("exec's directory is a string")
    # What the client sets comes on top of the app's own environment.
    whole = None if environment is None else {**app.plan.environment, **environment}
    return {"environment": whole, "directory": directory, **stream_options(message, descriptors)}


def stream_options(message: Message, descriptors: list[int]) -> dict[str, Any]:
    """The streams, or the terminal, that a process is started with for its client. Raises ProtocolError."""
    if (terminal := message.get("terminal")) is not None:
        return {"terminal": _size(terminal)}
    if len(descriptors) != _STREAMS:
        raise ProtocolError(f"exec without a terminal needs {_STREAMS} descriptors, not {len(descriptors)}")
    return dict(zip(("stdin", "stdout", "stderr"), descriptors, strict=True))


def _all_strings(environment: dict[str, object]) -> bool:
    return all(isinstance(value, str) for value in environment.values())


def _size(terminal: object) -> tuple[int, int]:
    match terminal:
        case [int(rows), int(columns)] if 0 <= rows < 65536 and 0 <= columns < 65536:
            return rows, columns
    raise ProtocolError("exec's terminal is [rows, columns]")


async def _tell_start(channel: Channel, process: Process) -> None:
    descriptors = [] if process.terminal_fd is None else [process.terminal_fd]
    await channel.send({"answer": "started", "pid": process.pid}, descriptors)
    # Only the client holds the master now: when it goes, the kernel hangs the terminal up.
    process.close_terminal()


async def _tell_stops(channel: Channel, process: Process) -> None:
    async for change in process.job_changes():
        if change == Change.STOPPED:
            await channel.send({"answer": "stopped"})


async def _tell_exit(channel: Channel, process: Process, scope: trio.CancelScope) -> None:
    status = await process.wait()
    await channel.send({"answer": "exit", "returncode": status.returncode, "reason": status.reason})
    scope.cancel()


async def _obey(channel: Channel, process: Process) -> None:
    """Forward the client's signals until it goes away."""
    while (received := await channel.receive()) is not None:
        message, _ = received
        if message.get("request") != "signal":
            raise ProtocolError("while a process runs, only signals may be asked for")
        await process.send_signal(wanted_signal(message))
