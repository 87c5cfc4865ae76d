"""The top directory of the slot that is used, which becomes that of another slot at one moment.

Rules:
- Names at the top are asked for at each use, and lead into the slot of that moment: no path mixes two slots,
  and none is absent while they are switched. What is open, and who stands in a directory, keeps its slot.
- A slot whose seal is not right is never served.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from libos.fs.node import CHANGING, Attributes, Directory, Node
from libos.fs.sealed import sealed
from libos.slots.errors import SlotError
from libos.slots.sealing import checked
from libos.slots.slots import Slots

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Healthy = Callable[[], Awaitable[bool]]


class SlotRoot(Directory):
    """A node to be mounted: `{"at": "/opt/app", "node": SlotRoot(slots, key)}`. `slot` is the one that is
    served. Making it reads a seal, which blocks. `close` it once nothing serves it."""

    cache = CHANGING

    def __init__(self, slots: Slots, key: Ed25519PublicKey) -> None:
        """SlotError where no slot can be used."""
        self._slots = slots
        self._key = key
        self._fds: list[int] = []
        self.slot, self._now = self._first()

    def _first(self) -> tuple[str, Directory]:
        """The best slot whose seal is right."""
        why = "nothing is installed"
        while (name := self._slots.best()) is not None:
            if self._slots.take_try(name):
                try:
                    return name, self._tree(name)
                except SlotError as error:
                    why = str(error)
                    self._slots.failed(name)
        raise SlotError(f"no slot of {self._slots.folder} can be used: {why}")

    def _new_tree(self, name: str) -> Directory:
        """The tree of a slot, which has failed where its seal is not right: SlotError."""
        try:
            return self._tree(name)
        except SlotError:
            self._slots.failed(name)
            raise

    def _tree(self, name: str) -> Directory:
        folder = self._slots.folder / name
        entries = checked(folder, self._key)
        try:
            fd = os.open(folder / "root", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise SlotError(f"{folder}: it has no tree: {error.strerror}") from None
        self._fds.append(fd)
        try:
            return sealed(fd, entries)
        except ValueError as error:
            raise SlotError(f"{folder}: its seal is of no tree: {error}") from None

    async def switch(self, healthy: Healthy, *, seconds: float = 30.0) -> str:
        """Serve the best slot, and ask whether all is well; give the slot that is served then.

        `healthy` is asked once a try, and has so many seconds for each answer; an exception is a no. Where no
        try is left the slot has failed, and the one before is served again. One call at a time. SlotError
        where the new slot's seal is not right: then it has failed, and nothing was switched.
        """
        before, was = self.slot, self._now
        name = await trio.to_thread.run_sync(self._slots.best)
        if name is None or name == before:
            return before
        now = await trio.to_thread.run_sync(self._new_tree, name)
        good = False
        try:
            while not good and await trio.to_thread.run_sync(self._slots.take_try, name):
                self.slot, self._now = name, now
                good = await _answer(healthy, seconds)
        finally:
            if not good:
                self.slot, self._now = before, was
        await trio.to_thread.run_sync(self._slots.succeeded if good else self._slots.failed, name)
        return self.slot

    def close(self) -> None:
        """Let go of the trees."""
        while self._fds:
            os.close(self._fds.pop())

    # --- the directory

    def known(self) -> Attributes | None:
        return self._now.known()

    async def walk(self, name: bytes) -> Node:
        return await self._now.walk(name)

    async def readdir(self) -> list[bytes]:
        return await self._now.readdir()


async def _answer(healthy: Healthy, seconds: float) -> bool:
    """What a health check says; no where it fails or takes too long."""
    with trio.move_on_after(seconds):
        try:
            return bool(await healthy())
        except Exception:
            return False
    return False
