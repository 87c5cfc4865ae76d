"""Signals and job control where the app has no terminal of its own.

Rules: what is sent to libos goes to the app, from the first moment: what comes while the app starts waits
for it, and ends a start that takes longer than START_SECONDS from there; a stop waits as long at most. A
second Ctrl-C ends the app, for it may not listen to the first. When libos is stopped the app is stopped with
it, and continued with it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Protocol

import trio

from libos.cli.terminal import by_default

# What another process may send to libos and means for the app.
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
# Seconds that a start may still take after a signal; it takes some 20 ms.
START_SECONDS = 2.0
_JOB_CONTROL = (signal.SIGTSTP, signal.SIGCONT)


class Target(Protocol):
    """A process that is running, wherever."""

    async def send_signal(self, number: int) -> None:
        """Send a signal to its process group."""
        ...


class Forwarder:
    """Forwards signals to a process; `start` is the scope in which it is started.

    A second Ctrl-C calls `end` where it is given, else it kills the process.
    """

    def __init__(self) -> None:
        self.start = trio.CancelScope()
        self.early: list[int] = []
        self._target: Target | None = None
        self._end: Callable[[], None] | None = None
        self._interrupts = 0
        self._attached = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Forward until cancelled."""
        with trio.open_signal_receiver(*FORWARDED, *_JOB_CONTROL) as signals:
            task_status.started()
            async for number in signals:
                if self._target is not None:
                    await self._forward(self._target, number)
                elif number in FORWARDED:
                    self.early.append(number)
                    self.start.deadline = min(self.start.deadline, trio.current_time() + START_SECONDS)
                elif number == signal.SIGTSTP:
                    await self._stop_early()

    async def attach(self, target: Target, end: Callable[[], None] | None = None) -> None:
        """Forward to this process from here on, beginning with what came early."""
        self._target, self._end = target, end
        self._attached.set()
        for number in self.early:
            await self._forward(target, number)

    async def _stop_early(self) -> None:
        """Stop, with the app where it comes soon: it may run, and read the terminal, before that is known
        here."""
        with trio.move_on_after(START_SECONDS):
            await self._attached.wait()
        if self._target is not None:
            await self._forward(self._target, signal.SIGTSTP)
        else:
            _stop_here()

    async def _forward(self, target: Target, number: int) -> None:
        self._interrupts += number == signal.SIGINT
        if number == signal.SIGINT and self._interrupts > 1:
            if self._end is not None:
                self._end()
            else:
                await target.send_signal(signal.SIGKILL)
        elif number == signal.SIGTSTP:
            await target.send_signal(signal.SIGSTOP)
            _stop_here()
            await target.send_signal(signal.SIGCONT)
        else:
            await target.send_signal(number)


def _stop_here() -> None:
    """Stop this process until it is continued."""
    with by_default(signal.SIGTSTP):
        os.kill(os.getpid(), signal.SIGTSTP)
