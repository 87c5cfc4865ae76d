"""What has been answered, by path, and what is open by an answer that held once. Pure.

A tree of names, so that what is renamed takes the answers below it along, however many there are.
"""

from __future__ import annotations

from libos.fs.node import Handle


class Place:
    """One path: its answer ("always", "no", "once"), and how many files are open there by a ONCE."""

    __slots__ = ("answer", "below", "opened")

    def __init__(self) -> None:
        self.answer: str | None = None
        self.opened = 0
        self.below: dict[bytes, Place] = {}


_NOWHERE = Place()


class Answers:
    """The answers of one layer."""

    def __init__(self) -> None:
        self._top = Place()
        self._handles: dict[Handle, Place] = {}

    def _find(self, path: bytes) -> Place:
        """The place of a path; one without an answer where nothing is known."""
        here = self._top
        for name in path.split(b"/") if path else ():
            found = here.below.get(name)
            if found is None:
                return _NOWHERE
            here = found
        return here

    def _make(self, path: bytes) -> Place:
        here = self._top
        for name in path.split(b"/") if path else ():
            here = here.below.setdefault(name, Place())
        return here

    def get(self, path: bytes) -> str | None:
        """What was answered for a path, and still holds."""
        return self._find(path).answer

    def set(self, path: bytes, answer: str | None) -> None:
        """Replaces what was answered for a path."""
        if answer is not None or self._find(path) is not _NOWHERE:
            self._make(path).answer = answer

    def may_look(self, path: bytes) -> bool:
        """Whether stat needs no question."""
        place = self._find(path)
        return place.answer in ("always", "once") or place.opened > 0

    def may_open(self, path: bytes) -> bool:
        """Whether open needs no question."""
        return self._find(path).answer in ("always", "once")

    def take(self, path: bytes) -> bool:
        """Uses a ONCE up, if there is one."""
        place = self._find(path)
        if place.answer != "once":
            return False
        place.answer = None
        return True

    def give_back(self, path: bytes, used: bool) -> None:
        """What was taken came to nothing."""
        if used:
            self._make(path).answer = "once"

    def hold(self, path: bytes, handle: Handle, used: bool) -> None:
        """Notes what was opened by a ONCE."""
        if used:
            place = self._handles[handle] = self._make(path)
            place.opened += 1

    def let_go(self, handle: Handle) -> None:
        """It is closed."""
        place = self._handles.pop(handle, None)
        if place is not None:
            place.opened -= 1

    def forget(self, path: bytes) -> None:
        """A name is gone, and all below it."""
        self._detach(path)

    def move(self, old: bytes, new: bytes, *, exchange: bool = False) -> None:
        """Answers go with what is renamed; what was at the new name is gone, or comes to the old one."""
        moved, replaced = self._detach(old), self._detach(new)
        self._attach(new, moved)
        if exchange:
            self._attach(old, replaced)

    def _detach(self, path: bytes) -> Place | None:
        above, _, name = path.rpartition(b"/")
        return self._find(above).below.pop(name, None)

    def _attach(self, path: bytes, place: Place | None) -> None:
        if place is not None:
            above, _, name = path.rpartition(b"/")
            self._make(above).below[name] = place
