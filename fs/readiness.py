"""Waiting for a state to change: by await, and by poll(2)."""

from __future__ import annotations

import select

import trio

from libos.fs.node import Wake

READABLE = select.POLLIN | select.POLLRDNORM
WRITABLE = select.POLLOUT | select.POLLWRNORM


class Changes:
    """Tells who waits that something changed; who is told looks again for itself."""

    def __init__(self) -> None:
        self._event: trio.Event | None = None
        self._wakes: dict[object, Wake] = {}

    def tell(self) -> None:
        """Wakes all who wait now. Never waits."""
        if self._event is not None:
            self._event.set()
            self._event = None
        if self._wakes:
            wakes, self._wakes = self._wakes, {}
            for wake in wakes.values():
                wake()

    async def wait(self) -> None:
        """Returns after the next `tell`."""
        if self._event is None:
            self._event = trio.Event()
        await self._event.wait()

    def wake(self, who: object, wake: Wake | None) -> None:
        """Has `wake` called at the next `tell`, in place of an earlier one of the same `who`."""
        if wake is not None:
            self._wakes[who] = wake

    def leave(self, who: object) -> None:
        """Calls who polls on behalf of `who`, and forgets it."""
        wake = self._wakes.pop(who, None)
        if wake is not None:
            wake()
