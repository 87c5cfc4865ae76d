"""The client's side of `libos exec`: hands the streams over, or carries a terminal, and waits for the end."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import trio

from libos.cli.relay import carry
from libos.cli.runner import output_for
from libos.cli.signals import Forwarder
from libos.cli.status import exit_status
from libos.cli.terminal import CallerTerminal
from libos.control.channel import Channel
from libos.control.folder import ControlError, open_folder
from libos.control.wire import Message
from libos.errors import CommandError, CommandNotFoundError, ManifestError
from libos.unwrap import unwrapped


def execute(
    name: str, command: list[str], environment: list[str], directory: str | None, terminal: bool
) -> int:
    """Run the command in the world and give the exit status. Raises LibosError."""
    message: Message = {
        "request": "exec",
        "command": command,
        "environment": _variables(environment),
        "directory": directory,
    }
    with open_folder() as folder:
        connection = folder.connect(name)
    return trio.run(converse, Channel(connection), message, terminal)


def _variables(environment: list[str]) -> dict[str, str]:
    found = {}
    for text in environment:
        name, equals, value = text.partition("=")
        if not name or (not equals and name not in os.environ):
            raise ManifestError(f"-e {text}: write NAME=VALUE, or the NAME of a variable that is set here")
        found[name] = value if equals else os.environ[name]
    return found


async def converse(channel: Channel, message: Message, terminal: bool) -> int:
    """Ask for what `message` says, carry its streams or its terminal, and give its exit status."""
    with channel:
        if terminal:
            with CallerTerminal(0) as caller, output_for(caller) as out_fd:
                return await _carry(channel, message, caller, out_fd)
        return await _pass_streams(channel, message)


async def _pass_streams(channel: Channel, message: Message) -> int:
    async with unwrapped(), trio.open_nursery() as nursery:
        # First of all: the process may be heard of, and this one be signalled, before the answer is here.
        forwarder = Forwarder()
        await nursery.start(forwarder.run)
        with forwarder.start:
            job, _ = await _start(channel, message, [0, 1, 2])
        if forwarder.start.cancelled_caught:
            status = exit_status(-forwarder.early[0], "signal")
        else:
            nursery.start_soon(job.follow)
            await forwarder.attach(job)
            await job.ended.wait()
            status = job.status
        nursery.cancel_scope.cancel()
    return status


async def _carry(channel: Channel, message: Message, caller: CallerTerminal, out_fd: int) -> int:
    kind = {"TERM": os.environ["TERM"]} if "TERM" in os.environ else {}
    if message["request"] == "exec":
        message = message | {"environment": kind | message["environment"]}
    message = message | {"terminal": caller.size()}
    job, descriptors = await _start(channel, message, [])
    (master_fd,) = descriptors
    try:
        async with unwrapped(), trio.open_nursery() as nursery:
            nursery.start_soon(job.follow)
            await carry(caller, out_fd, master_fd, job, job.ended.wait)
            nursery.cancel_scope.cancel()
    finally:
        os.close(master_fd)
    return job.status


@dataclass
class _RemoteJob:
    """The process in the world, seen through the control connection."""

    channel: Channel
    ended: trio.Event = field(default_factory=trio.Event)
    status: int = ControlError.exit_status

    def __post_init__(self) -> None:
        self._send_stop, self._stops = trio.open_memory_channel[None](64)

    async def send_signal(self, number: int) -> None:
        await self.channel.send({"request": "signal", "number": number})

    async def stops(self) -> AsyncIterator[None]:
        async for stop in self._stops:
            yield stop

    async def follow(self) -> None:
        """Read what becomes of the process until its end. Raises ControlError when the world goes away."""
        while (received := await self.channel.receive()) is not None:
            message, _ = received
            match message.get("answer"):
                case "stopped":
                    await self._send_stop.send(None)
                case "exit":
                    self.status = exit_status(message["returncode"], message["reason"])
                    self.ended.set()
                    return
        raise ControlError("the world ended")


async def _start(channel: Channel, message: Message, descriptors: list[int]) -> tuple[_RemoteJob, list[int]]:
    await channel.send(message, descriptors)
    received = await channel.receive()
    if received is None:
        raise ControlError("the world ended")
    answer, received_descriptors = received
    if answer.get("answer") == "error":
        raise _error_of(answer)
    return _RemoteJob(channel), received_descriptors


def _error_of(answer: Message) -> Exception:
    kinds = {kind.exit_status: kind for kind in (CommandError, CommandNotFoundError, ManifestError)}
    return kinds.get(answer.get("exit_status", 0), ControlError)(str(answer.get("text")))
