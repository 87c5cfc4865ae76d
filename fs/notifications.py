"""What the kernel is told without having asked: names and inodes that changed.

A notification waits for the kernel's lock on a directory, which a request that we are answering may hold.
So they are sent from a worker thread, one batch at a time and in order, and never by who answers requests.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import trio

# An inode's number, and a name in it or None for the inode itself.
Key = tuple[int, bytes | None]

log = logging.getLogger("libos.fs")


class Notifications:
    """A queue of calls that block. `add` and `flushed` on the trio thread only."""

    def __init__(self) -> None:
        self._queue: dict[Key, Callable[[], None]] = {}
        self._arrived = trio.Event()
        self._flushed = trio.Event()
        self._flushed.set()

    def add(self, key: Key, call: Callable[[], None]) -> None:
        """Queues a call unless one for the same inode and name waits already; returns at once."""
        self._queue.setdefault(key, call)
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
            batch = list(self._queue.values())
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
