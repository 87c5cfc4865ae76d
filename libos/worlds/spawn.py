"""Starting a program in a world, and what it means when that fails."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from libos.errors import CommandError, CommandNotFoundError, HostError, SupervisorError
from libos.worlds.streams import Streams
from libos.worlds.world import Running, World, failure_text

# The number of a world's first program; the world ends with it.
FIRST_PROGRAM = 0


if TYPE_CHECKING:
    from libos.plan import Plan

# Rows and columns of a terminal, or whether there is to be one.
Terminal = tuple[int, int] | bool
# What a terminal has until its user sets others: a VT100's.
_SIZE = (24, 80)


def terminal_size(terminal: Terminal) -> tuple[int, int] | None:
    """Give the size that `terminal` asks for; None for no terminal."""
    if isinstance(terminal, bool):
        return _SIZE if terminal else None
    return terminal


@dataclass(frozen=True)
class Start:
    """What to start: the words of the command, its whole environment, where, and on which terminal."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    # Rows and columns of the pty to start it on; None for no terminal.
    terminal: tuple[int, int] | None = None
    # What it has open when it starts: the name, the path, the flags of open(2).
    descriptors: tuple[tuple[str, str, int], ...] = ()


async def spawn(world: World, number: int, start: Start, streams: Streams) -> Running:
    """Start a program; gives it once execve(2) has succeeded.

    Raises CommandNotFoundError (ENOENT, ENOTDIR), CommandError (all else that the kernel answers), and
    SupervisorError where the world ended meanwhile.
    """
    terminal = start.terminal if streams.on_terminal else None
    request = {
        "id": number,
        "argv": list(start.command),
        "environment": dict(start.environment),
        "directory": start.directory,
        "descriptors": start.descriptors,
        "terminal": {"size": terminal, "streams": streams.on_terminal} if terminal else None,
    }
    running = await world.spawn(request, streams.fds)
    check_built(world)
    if running.failure is not None:
        raise _failed(start, running.failure["errno"], running.failure["message"])
    if running.pid is None:
        raise SupervisorError("the world ended before the program started")
    return running


def explained(plan: Plan, start: Start, failure: CommandError) -> CommandError:
    """Give the error again with what the plan knows: where the command stands on the host, what brings it."""
    from libos.plan import explain_failure

    return explain_failure(
        plan, start.command[0], failure, environment=start.environment, directory=start.directory
    )


def check_built(world: World) -> None:
    """Raise HostError where init could not build the world."""
    if world.failure is not None:
        raise HostError(f"the world cannot be built: {failure_text(world.failure)}")


def _failed(start: Start, number: int, message: str) -> CommandError:
    name = start.command[0]
    if message.startswith("working directory"):
        return CommandError(f"{message}; give one that the world has with -w DIRECTORY")
    if message.startswith("descriptor "):
        return CommandError(message)
    if number in (errno.ENOENT, errno.ENOTDIR):
        return CommandNotFoundError(f"{name}: not in the namespace")
    if number == errno.EACCES:
        return CommandError(f"{name}: the file is there but may not be executed")
    return CommandError(f"{name}: {message}")
