"""Programs in worlds: what is known of one, and how it ended.

A program's end is seen once and kept: `wait` may be called by any number of tasks, before and after.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from libos.worlds.limiting import LimitReason
from libos.worlds.world import Change, Running, World

if TYPE_CHECKING:
    from libos.worlds.streams import Streams

Reason = Literal["exit", "signal", "time", "killed", "parent", "lost", LimitReason]


@dataclass(frozen=True)
class ExitStatus:
    """How a program ended.

    `returncode` is subprocess's: the exit status, or minus the signal's number. `reason` says who ended it:
    the program itself ("exit"), a signal ("signal"), its time limit ("time"), `kill` ("killed"), the end of
    the world above it ("parent"), the loss of its world ("lost": the keeper or init was killed), or a limit
    ("memory", "cpu_time", "file_size", "output").
    """

    returncode: int
    reason: Reason


class Process:
    """A program in a world: the app's own, or one that `App.exec` started."""

    def __init__(self, world: World, running: Running, streams: Streams) -> None:
        self._world = world
        self._running = running
        self._ended_by: Reason | None = None
        # Tells which limit a return code means, if one.
        self.ended_by_limit: Callable[[int], LimitReason | None] = lambda code: None
        assert running.pid is not None  # it has started
        self.pid = running.pid
        self.stdin, self.stdout, self.stderr = streams.take()
        # The pty's master where the program was started with a terminal; belongs to this object.
        self.terminal_fd = running.terminal_fd

    @property
    def status(self) -> ExitStatus | None:
        """How it ended; None while it runs."""
        return self._exit_status() if self._running.ended.is_set() else None

    def _exit_status(self) -> ExitStatus:
        status = self._running.wait_status
        code = -signal.SIGKILL if status is None else os.waitstatus_to_exitcode(status)
        otherwise: Reason = "lost" if status is None else "signal" if code < 0 else "exit"
        return ExitStatus(code, self._ended_by or self.ended_by_limit(code) or otherwise)

    async def wait(self) -> ExitStatus:
        """Wait for the end and give it."""
        await self._running.ended.wait()
        return self._exit_status()

    async def send_signal(self, number: int) -> None:
        """Send a signal to the program's process group. Nothing happens when it has ended."""
        if not self._running.ended.is_set():
            await self._world.send_signal(self._running.number, number)

    async def job_changes(self) -> AsyncIterator[str]:
        """Give each "stopped" and "continued" as it happens, for job control; ends with the program."""
        while True:
            while self._running.changes:
                change = self._running.changes.popleft()
                if change == Change.EXIT:
                    return
                yield change
            if self._running.ended.is_set():
                return
            await self._running.changed.wait()

    async def aclose(self) -> None:
        """Close our ends of its streams and its terminal."""
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                await stream.aclose()
        self.close_terminal()

    def close_terminal(self) -> None:
        """Close the pty's master: the program then gets SIGHUP."""
        if self.terminal_fd is not None:
            os.close(self.terminal_fd)
            self.terminal_fd = None
