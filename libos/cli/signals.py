"""Signals and job control where the app has no terminal of its own.

Rules: what is sent to libos goes to the app. A second Ctrl-C ends the app, for it may not listen to the
first. When libos is stopped the app is stopped with it, and continued with it.
"""

from __future__ import annotations

import os
import signal

import trio

from libos.app import App
from libos.cli.terminal import by_default

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


async def forward(app: App, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Forward signals to the app until cancelled."""
    interrupts = 0
    with trio.open_signal_receiver(*_FORWARDED, signal.SIGTSTP, signal.SIGCONT) as signals:
        task_status.started()
        async for number in signals:
            interrupts += number == signal.SIGINT
            if number == signal.SIGINT and interrupts > 1:
                app.end("killed")
            elif number == signal.SIGTSTP:
                await _stop_with(app)
            else:
                await app.send_signal(number)


async def _stop_with(app: App) -> None:
    await app.send_signal(signal.SIGSTOP)
    with by_default(signal.SIGTSTP):
        os.kill(os.getpid(), signal.SIGTSTP)
    await app.send_signal(signal.SIGCONT)
