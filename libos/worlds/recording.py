"""Telling what is used of a world: the events path.used, path.absent of mounted trees, and path.untold.

A first use is told at once, repetitions are summed and told once a second, and all of it at the end. What is
told goes out only as fast as the readers of events take it: until then it waits in `Uses`, which is bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from libos.fs.recording import ABSENT, OPERATIONS, Used, Uses
from libos.worlds.pacing import LEFT, PATIENCE, PAUSE

if TYPE_CHECKING:
    from libos.events import Hub
    from libos.plan import Plan

# Seconds between two times that repetitions are told.
_SUMMED = 1.0
# Mount points by which uses are told apart. An app may bind and unmount for as long as it likes; what it uses
# at a further place is told under the mount above it.
MOST_PLACES = 10_000
# Events told in one turn; the file server answers between two.
_TURN = 200


class Recording:
    """Tells the uses of one world. `name` is set once the app has one."""

    def __init__(self, plan: Plan, hub: Hub) -> None:
        self._places = {mount.at.encode(errors="surrogateescape") for mount in plan.namespace}
        self._hub = hub
        self._news = trio.Event()
        self._summed = trio.current_time()
        self.name: str | None = None
        self.uses = Uses(self._mount_of)
        self.uses.planned = frozenset(self._places)
        self.uses.wake = self._wake

    def mounted(self, at: str) -> None:
        """Note that something is mounted at a further place."""
        if len(self._places) < MOST_PLACES:
            self._places.add(at.encode(errors="surrogateescape"))
        self.uses.moved()

    def begin(self, name: str) -> None:
        """Record from here on, for the app of this name."""
        self.name = name
        self.uses.begun = True

    def _mount_of(self, path: bytes) -> bytes | None:
        """The innermost mount point at or above a path."""
        while path:
            if path in self._places:
                return path
            path = path.rpartition(b"/")[0]
        return None

    def _wake(self) -> None:
        self._news.set()

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            await self._news.wait()
            self._news = trio.Event()
            await self._tell(sums=False)
            if (early := self._summed + _SUMMED - trio.current_time()) > 0:
                with trio.move_on_after(early):
                    await self._news.wait()
                    continue
            await self._tell(sums=True)

    async def finish(self) -> None:
        """Tell the rest."""
        self.uses.begun = False
        await self._tell(sums=True)

    async def _tell(self, *, sums: bool) -> None:
        """Tell what there is, as fast as it is read. Who reads nothing for PATIENCE loses what is told."""
        if sums:
            self._summed = trio.current_time()
        stalled_at = trio.current_time() + PATIENCE
        while True:
            room = self._hub.room() - LEFT
            if room > 0:
                stalled_at = trio.current_time() + PATIENCE
            elif trio.current_time() < stalled_at:
                await trio.sleep(PAUSE)
                continue
            events = self._taken(min(room, _TURN) if room > 0 else _TURN, sums=sums)
            if not events:
                return
            for event in events:
                self._emit(*event)
            await trio.lowlevel.checkpoint()

    def _taken(self, most: int, *, sums: bool) -> list[tuple[Used | None, int, int]]:
        """At most so many things to tell, or a few more: path, operation, how often."""
        uses = self.uses
        taken: list[tuple[Used | None, int, int]] = [(used, number, 1) for used, number in uses.firsts(most)]
        if sums and len(taken) < most:
            taken += uses.sums(most - len(taken))
            if untold := uses.untold():
                taken.append((None, 0, untold))
        return taken

    def _emit(self, used: Used | None, operation: int, count: int) -> None:
        if used is None:
            self._hub.emit("path.untold", self.name, count=count)
            return
        path, mount = (each.decode(errors="surrogateescape") for each in (used.path, used.mount))
        if operation == ABSENT:
            self._hub.emit("path.absent", self.name, path=path, mount=mount, count=count)
        else:
            self._hub.emit(
                "path.used", self.name, path=path, mount=mount, operation=OPERATIONS[operation], count=count
            )
