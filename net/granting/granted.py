"""What one world is granted, and what listens inside for it: places for single addresses, ranges, and the
places that patterns need once a name is looked up.

Rules:
- Grants decide in the order in which they were made.
- What listens is there before a grant counts, and goes when no grant allows it any more.
- New places are handed to `serve`, in the turn in which they were made.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from libos.net.address import Address
from libos.net.granting.dialed import Dialed
from libos.net.granting.directory import Directory
from libos.net.granting.places import Place, Places
from libos.net.granting.rule import Rule
from libos.net.naming.names import Names
from libos.net.routed.sides import Sides

if TYPE_CHECKING:
    from libos.net.routed.ranges import Ranges

# Makes a grant of its number and rule; it calls the function when it is taken back or narrowed.
Make = Callable[[int, Rule, Callable[[Dialed], None]], Dialed]


class Granted:
    """The grants of one world; `live` has those that decide. `serve` serves new places, and raises OSError
    where the gate does not run."""

    def __init__(
        self, names: Names, sides: Sides, make: Make, serve: Callable[[Iterable[Place]], None]
    ) -> None:
        self.live: list[Dialed] = []
        self._sides = sides
        self._make = make
        self._serve = serve
        # Whose listeners are being made.
        self._coming: list[Dialed] = []
        self._numbers = itertools.count(1)
        self.places = Places(names, sides)
        # Made with the first range: most worlds start without their modules.
        self._ranges: Ranges | None = None
        # The gate's end of a routed world's link, where ranges are listened for.
        self.device = "world"
        self.directory = Directory(names, self.places, lambda: self.live, serve)

    def first(self, rules: Iterable[Rule]) -> list[tuple[str, Address]]:
        """Grant what a world starts with; gives what `bind` is to be called with."""
        self.live = [self._new(rule) for rule in rules]
        return self.places.missing(self.directory.listened(self.live))

    async def bind(self, missing: list[tuple[str, Address]], sockets: Iterable[socket.socket]) -> list[Place]:
        """Listen for what `first` gave with sockets that are there already, and for ranges; gives the places.
        Raises OSError."""
        return [*self.places.bind(missing, sockets), *await self._open_ranges()]

    async def add(self, rule: Rule) -> Dialed:
        """Grant one thing more, once it is listened for; gives the grant that is there where exactly the same
        was granted. Raises OSError: EADDRINUSE where the app listens there itself, EOPNOTSUPP for a range in
        a flat world, EPIPE where the gate does not run or the world has ended."""
        present = next((each for each in self.live if each.rule == rule), None)
        if present is not None:
            return present
        grant = self._new(rule)
        self._coming.append(grant)
        try:
            self._serve(await self.open())
        except BaseException:
            self._coming.remove(grant)
            self._apply_ranges()
            raise
        self._coming.remove(grant)
        self.live.append(grant)
        self._apply_ranges()  # others may have been granted meanwhile
        return grant

    async def open(self) -> list[Place]:
        """Listen for what grants say; gives new single places. Those of ranges are served already. Raises
        OSError as `add` does."""
        self._serve(await self._open_ranges())
        return await self.places.open(self.directory.listened([*self.live, *self._coming]))

    def close(self) -> None:
        """Stop listening for anything. May be called again."""
        if self._ranges is not None:
            self._ranges.close()
        self.places.close_all()

    @property
    def ranges(self) -> Ranges:
        """The ranges that are listened for."""
        if self._ranges is None:
            from libos.net.routed.ranges import Ranges

            self._ranges = Ranges(self._sides)
            self._ranges.device = self.device
        return self._ranges

    async def _open_ranges(self) -> list[Place]:
        if self._ranges is None and not any(rule.to.is_range for rule in self._held()):
            return []
        return await self.ranges.open(self._held)

    def _apply_ranges(self) -> None:
        if self._ranges is not None:
            self._ranges.apply(self._held())

    def _new(self, rule: Rule) -> Dialed:
        return self._make(next(self._numbers), rule, self._release)

    def _held(self) -> list[Rule]:
        return [grant.rule for grant in (*self.live, *self._coming)]

    def _release(self, _grant: Dialed) -> None:
        """Stop listening for what no grant allows any more."""
        self.live = [each for each in self.live if not each.closed]
        self.directory.release()
        self._apply_ranges()
