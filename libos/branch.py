"""The tree of worlds: which one stands below which, and that none outlives the one above it.

Rules:
- A branch is in the tree from the moment at which its start is let in until nothing of its world is left;
  whoever counts sees those that are being started too.
- A branch that is closed takes nobody in, and ends all below it at once.
- Use from the trio thread alone. All but `gone` is sync: no checkpoint between looking and joining.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from itertools import count
from typing import TYPE_CHECKING

import trio

from libos.errors import ManifestError, SupervisorError
from libos.manifest.model import Limits
from libos.manifest.values import world_name

if TYPE_CHECKING:
    from libos.limits.holding import Held

NO_LIMITS = Limits()


class Branch:
    """One world's place in the tree. `name` has the names of all above it, as build/tests."""

    def __init__(self, name: str = "", limits: Limits = NO_LIMITS) -> None:
        self.name = name
        self.limits = limits  # what was asked for
        self.above: Branch | None = None
        self.below: list[Branch] = []
        self.closed = False
        # Ends its world without waiting; set by who runs it.
        self.end: Callable[[], None] = lambda: None
        self.monitor: object = None  # who answers for its system calls, in Python
        # Gives its cgroup, where it has one; set by who runs it.
        self.cgroup: Callable[[], Held | None] = lambda: None
        # Called once, when it has left.
        self.left: list[Callable[[], None]] = []
        self._over = trio.Event()

    def join(self, above: Branch) -> None:
        """Stand below another one. Raises SupervisorError where that has ended."""
        above.require()
        self.above = above
        above.below.append(self)

    def require(self) -> None:
        """Raise SupervisorError where it takes nobody in any more."""
        if self.closed:
            raise SupervisorError(f'"{self.name}" has ended, and nothing can be started below it')

    def ancestors(self) -> Iterator[Branch]:
        """Those above it, the nearest first."""
        above = self.above
        while above is not None:
            yield above
            above = above.above

    def cgroups_above(self) -> list[Held]:
        """The cgroups of those above it that have one, the nearest first."""
        return [held for each in self.ancestors() if (held := each.cgroup()) is not None]

    def size(self) -> int:
        """How many stand below it, at whatever depth."""
        return sum(1 + each.size() for each in self.below)

    def close(self) -> None:
        """Take nobody in any more, and end all below."""
        self.closed = True
        for each in list(self.below):
            each.close()
            each.end()

    async def end_below(self, seconds: float) -> None:
        """Close it, and wait, so long at most and whoever cancels, until nothing is left below."""
        self.close()
        with trio.move_on_after(seconds, shield=True):
            await self.gone()

    async def gone(self) -> None:
        """Wait until nothing is left below."""
        while self.below:
            await self.below[0]._over.wait()

    def leave(self) -> str | None:
        """Nothing of its world is left: go, and give the name of the one above where that has nobody below it
        now. Does nothing the second time."""
        if self._over.is_set():
            return None
        self._over.set()
        self.closed = True
        for callback in self.left:
            callback()
        if self.above is None:
            return None
        self.above.below.remove(self)
        return None if self.above.below else self.above.name


def whole_name(name: str | None, stem: str, above: str | None, taken: Container[str]) -> str:
    """The name of a new world, with those above it: what is asked for, else one made of `stem`. Raises
    ManifestError where that cannot be."""
    head = "" if above is None else f"{above}/"
    if name is None:
        name = next(each for n in count(1) if (each := f"{head}{stem}-{n}") not in taken)
    elif not name.startswith(head):
        name = head + name
    if name.rpartition("/")[0] != (above or ""):
        raise ManifestError(f'"{name}" is no name below "{above}"')
    if above is not None:
        try:
            world_name(name)
        except ValueError as wrong:
            raise ManifestError(str(wrong)) from None
    if name in taken:
        raise ManifestError(f'an app named "{name}" is running; give another name with --name')
    return name


def refuse_later(within: str | None, what: str) -> None:
    """Raise ManifestError for what a world below another would be given while it runs."""
    if within is not None:
        raise ManifestError(
            f'{what}: this world stands below "{within}", and is given nothing more but what that holds, '
            "handed on as a grant"
        )
