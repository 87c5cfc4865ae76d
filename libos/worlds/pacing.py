"""Holding up an app that makes events faster than they are read.

Rule: who does not read for PATIENCE seconds is not waited for any more, until he has room again: a program
that opened a reader and forgot it must not hold up its worlds. What comes beyond is lost then, and counted.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

# Room that is left for events of other kinds, which wait for nobody.
LEFT = 1000
# Seconds after which readers are looked at again that have no room.
PAUSE = 0.02
# Seconds without any room after which readers are not waited for.
PATIENCE = 5.0


class Pace:
    """The pace of one world. `room` gives how many events its slowest reader can be given."""

    def __init__(self, room: Callable[[], int]) -> None:
        self._room = room
        self._given_up = False

    def is_due(self) -> bool:
        """Whether there is to be waited before more is told."""
        if self._room() > LEFT:
            self._given_up = False
            return False
        return not self._given_up

    async def wait(self) -> None:
        """Wait until there is room, or nobody is waited for any more."""
        with trio.move_on_after(PATIENCE):
            while True:
                if not self.is_due():
                    return
                await trio.sleep(PAUSE)
        self._given_up = True
