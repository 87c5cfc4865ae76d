"""Work of the command line that a person may stop: a signal cancels it, so that it ends what it started."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
import trio

from libos.cli.status import exit_status
from libos.unwrap import unwrapped

T = TypeVar("T")

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run the work in trio and give its result. Raises what it raises, and click's Exit with a shell's status
    once a signal has stopped it and all that it started has ended."""
    found: list[T] = []
    stopped = trio.run(_run, work, found)
    if not found:
        raise click.exceptions.Exit(exit_status(-stopped, "signal"))
    return found[0]


async def _run(work: Callable[[], Awaitable[T]], found: list[T]) -> int:
    stopped: list[int] = []
    with trio.open_signal_receiver(*_STOPS) as signals:
        async with unwrapped(), trio.open_nursery() as nursery:

            async def listen() -> None:
                async for number in signals:
                    stopped.append(number)
                    nursery.cancel_scope.cancel()

            nursery.start_soon(listen)
            found.append(await work())
            nursery.cancel_scope.cancel()
    return stopped[0] if stopped else 0
