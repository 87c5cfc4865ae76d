"""Starting a program in a world, and what it means when that fails."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass

from libos.errors import CommandError, CommandNotFoundError, SupervisorError
from libos.streams import Streams
from libos.world import Running, World

# The number of a world's first program; the world ends with it.
FIRST_PROGRAM = 0
# Rows and columns of a new terminal until its user sets others: a VT100's.
_SIZE = (24, 80)


@dataclass(frozen=True)
class Start:
    """What to start: the words of the command, its whole environment, where, and whether on a pty."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    terminal: bool = False


async def spawn(world: World, number: int, start: Start, streams: Streams) -> Running:
    """Start a program; gives it once execve(2) has succeeded.

    Raises CommandNotFoundError (ENOENT, ENOTDIR), CommandError (all else that the kernel answers), and
    SupervisorError where the world ended meanwhile.
    """
    request = {
        "id": number,
        "argv": list(start.command),
        "environment": dict(start.environment),
        "directory": start.directory,
        "terminal": list(_SIZE) if start.terminal else None,
    }
    running = await world.spawn(request, [] if start.terminal else streams.fds)
    if running.failure is not None:
        raise _failed(start, running.failure["errno"], running.failure["message"])
    if running.pidfd < 0:
        raise SupervisorError("the world ended before the program started")
    return running


def _failed(start: Start, number: int, message: str) -> CommandError:
    name = start.command[0]
    if message.startswith("working directory"):
        return CommandError(f"{message}; give one that the world has with -w DIRECTORY")
    if number in (errno.ENOENT, errno.ENOTDIR):
        return CommandNotFoundError(f"{name}: not in the namespace")
    if number == errno.EACCES:
        return CommandError(f"{name}: the file is there but may not be executed")
    return CommandError(f"{name}: {message}")
