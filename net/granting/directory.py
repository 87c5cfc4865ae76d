"""Which names exist in a world, by its grants, and what is listened for on their behalf.

Rules:
- A name exists while a grant allows one of its ports; `localhost` and the world's own name always do.
- A name that a pattern covers gets its address, and all its listeners, before a program is told of it.
- Patterns make at most 1,000 names a world, and at most as many listeners as a quarter of this process's
  descriptors, 4,096 at most. Beyond that the name that was used least recently and has no open connection
  gives its listeners up; a program that still holds its address is refused, and gets another one when it
  looks the name up again.
- Names are admitted one after another, so that no two make room for each other.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterable, Sequence

import trio

from libos.net.address import Address, Literal, check_name
from libos.net.granting.dialed import Dialed
from libos.net.granting.places import Place, Places
from libos.net.granting.rule import allows_name, decide, host_names, port_count, ports_of_name
from libos.net.naming.names import Names

MOST_NAMES = 1000
MOST_LISTENERS = 4096


def listener_limit() -> int:
    """Listeners that the patterns of one world may have."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST_LISTENERS if soft == resource.RLIM_INFINITY else max(16, min(MOST_LISTENERS, soft // 4))


class Directory:
    """The directory of one world. `grants` gives its grants as they are now; `serve` serves new places, and
    raises OSError where the gate does not run."""

    def __init__(
        self,
        names: Names,
        places: Places,
        grants: Callable[[], Sequence[Dialed]],
        serve: Callable[[Iterable[Place]], None],
    ) -> None:
        self._names = names
        self._places = places
        self._grants = grants
        self._serve = serve
        self._turn = trio.Lock()
        # How many listeners each given name has.
        self._sizes: dict[str, int] = {}

    def lookup(self, name: str) -> Sequence[Literal] | None:
        """The addresses of a name, in any case; none yet where `admit` makes them; None where there is no
        such name. This is a use of it."""
        try:
            name = check_name(name)
        except ValueError:
            return None
        if self._names.is_own(name):
            return self._names.lookup(name)
        if not allows_name(self._grants(), name):
            return None
        self._names.used(name)
        return self._names.lookup(name) or ()

    def name_of(self, address: Literal) -> str | None:
        """The name that an address of the world was given to, or None."""
        return self._names.name_of(address)

    async def admit(self, name: str) -> Sequence[Literal] | None:
        """The addresses of a name, once they are listened for; None where there is no such name.

        Raises OSError: EMFILE where no other name can make room, EADDRINUSE where the app listens at one of
        its ports on all addresses, EPIPE where the world has ended.
        """
        async with self._turn:
            found = self.lookup(name)
            if found is None or found:
                return found
            name = check_name(name)
            wanted = ports_of_name(self._grants(), name)
            self._make_room(1, len(wanted))
            given = self._names.give(name)
            self._sizes[name] = len(wanted)
            try:
                opened = await self._places.open(wanted)
                self._serve(opened)
            except BaseException:
                self._drop(name)
                raise
            # A grant may have gone meanwhile, and the name with it.
            for place in opened:
                if decide(self._grants(), place.address) is None:
                    self._places.close(place)
            return given if self.lookup(name) == given else None

    def listened(self, grants: Sequence[Dialed]) -> list[Address]:
        """What is to be listened for with these grants: each single address that one of them allows, and
        what patterns allow of each name that is there already. Raises OSError as `admit` does."""
        for name in host_names(grant.rule for grant in grants):
            self._names.grant(name)
        self._sizes = {name: port_count(grants, name) for name in self._names.given}
        self._make_room(0, 0)
        wanted = dict.fromkeys(address for grant in grants for address in grant.rule.to.addresses())
        patterns = [grant for grant in grants if grant.rule.to.is_pattern]
        for name in (*self._names.full, *self._names.given):
            wanted |= dict.fromkeys(ports_of_name(patterns, name))
        return [address for address in wanted if decide(grants, address) is not None]

    def release(self) -> None:
        """Stop listening for what no grant allows any more, and forget names that are left with nothing."""
        for place in self._places:
            if decide(self._grants(), place.address) is None:
                self._places.close(place)
        for name in self._names.given:
            if not allows_name(self._grants(), name):
                self._drop(name)

    def _make_room(self, names: int, listeners: int) -> None:
        """Give up what was used least recently until so many more fit. Raises OSError (EMFILE)."""
        most = listener_limit()
        if listeners > most:
            raise _full(f"the name needs {listeners} listeners, and {most} is the limit")
        if self._fits(names, listeners, most):
            return
        busy = {address.host for grant in self._grants() for address in grant.open_addresses}
        for name in self._names.given:
            if name not in busy:
                self._drop(name)
                if self._fits(names, listeners, most):
                    return
        raise _full("all names that patterns made have open connections")

    def _fits(self, names: int, listeners: int, most: int) -> bool:
        return len(self._sizes) + names <= MOST_NAMES and sum(self._sizes.values()) + listeners <= most

    def _drop(self, name: str) -> None:
        self._sizes.pop(name, None)
        if name in self._names.given:
            self._names.forget(name)
            for place in self._places:
                if place.address.host == name:
                    self._places.close(place)


def _full(why: str) -> OSError:
    return OSError(errno.EMFILE, f"{os.strerror(errno.EMFILE)}: {why}")
