"""What the kernel is told without having asked: names and inodes that changed.

A notification waits for the kernel's lock on a directory, which a request that we are answering may hold.
So they are sent from a worker thread, one batch at a time and in order, and never by who answers requests.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial

import trio

log = logging.getLogger("libos.fs")


class Notifications:
    """A queue of calls that block. `add` and `flushed` on the trio thread only."""

    def __init__(self) -> None:
        self._queue: deque[Callable[[], None]] = deque()
        self._arrived = trio.Event()
        self._flushed = trio.Event()
        self._flushed.set()

    def add(self, call: Callable[[], None]) -> None:
        """Queues a call; returns at once."""
        self._queue.append(call)
        if self._flushed.is_set():
            self._flushed = trio.Event()
        self._arrived.set()

    async def flushed(self) -> None:
        """Returns when all that was queued so far has been done."""
        await self._flushed.wait()

    async def send(self) -> None:
        """Does what is queued, until it is cancelled; a batch under way is finished first, since its thread
        uses the session."""
        while True:
            await self._arrived.wait()
            self._arrived = trio.Event()
            batch = list(self._queue)
            self._queue.clear()
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(partial(_run, batch))
            if not self._queue:
                self._flushed.set()


def _run(batch: list[Callable[[], None]]) -> None:
    for call in batch:
        try:
            call()
        except FileNotFoundError:
            pass  # the kernel did not know it
        except OSError as error:
            log.warning("the kernel did not take a notification: %s", error)
