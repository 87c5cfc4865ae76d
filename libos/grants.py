"""Grants: what a running app holds, each a handle by which its holder narrows it or takes it back.

Rules:
- Every mount of a world is a grant, those of its manifest too. Only the supervisor's side holds grants:
  an app uses what is mounted and can neither make nor widen one.
- A grant can be handed on to another world, narrower or as it is. What was made from a grant is narrowed
  with it and dies with it.
- Taking back what is served fails all that is open of it with EIO. What the kernel mounts is detached: no
  path leads to it any more, and what is open of it lives on, which the event says. A mount that must not
  live on is asked for as `revocable`, and is then served.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Literal

from libos.branch import refuse_later
from libos.errors import LibosError, ManifestError, SupervisorError
from libos.namespace import BoundSource, HostSource, Mode, Mount, NodeSource, is_at_or_below
from libos.narrowing import Narrowing
from libos.notices import require_seconds
from libos.worlds.unions import read_only

if TYPE_CHECKING:
    from libos.events import Hub
    from libos.notices import Notices
    from libos.worlds.live import LiveView
    from libos.worlds.placements import Placement

# What the event of a kernel mount's end says.
LIVES_ON = "descriptors that are open on it live on; ask for it as revocable to end them too"


@dataclass(eq=False)
class Grant:
    """One mount of one world. Methods are for the supervisor's trio thread."""

    id: str
    placement: Placement
    holder: Grants
    parent: Grant | None = None
    children: list[Grant] = field(default_factory=list)
    revoked: bool = False
    # Mounted by itself in a world below its parent's, of all that shows or of a part: it only follows.
    apart: Literal["whole", "part"] | None = None

    @property
    def at(self) -> str:
        """Where it stands in its world."""
        return self.placement.mount.at

    @property
    def mechanism(self) -> str:
        """What gives it: "served", "bind", "overlay" or "tmpfs"."""
        return self.placement.mechanism

    async def narrow(
        self, *, read_only: bool = False, hide: Iterable[str] = (), only: Iterable[str] = ()
    ) -> None:
        """Take something from it, at once and for all made from it: writing, names that match a gitignore(5)
        pattern (`hide`), all names that match none (`only`). It cannot be given back.

        Raises ManifestError for what is no pattern or cannot be narrowed so, SupervisorError where it was
        revoked, OSError.
        """
        narrowing = Narrowing.asked(read_only, hide, only)
        self._require()
        await self.holder.narrow(self, narrowing)
        for child in list(self.children):
            await child._narrow_with_parent(narrowing)

    async def _narrow_with_parent(self, narrowing: Narrowing) -> None:
        """Follow what this grant was made from."""
        if self.revoked:
            return
        if isinstance(self.placement.mount.source, BoundSource):
            await self.revoke()  # the app's own second name for it
            return
        if self.apart is not None:
            await self._narrow_apart(narrowing)
            return
        if self.placement.served:
            await self.holder.follow(self, narrowing)  # the layers of the parent are its own
        else:
            await self.holder.narrow(self, narrowing)
        for child in list(self.children):
            await child._narrow_with_parent(narrowing)

    async def _narrow_apart(self, narrowing: Narrowing) -> None:
        """Take the same from what was mounted by itself. Names are those below the parent's top: a part of it
        loses all. What cannot be narrowed is taken back."""
        try:
            if self.apart == "part" and (narrowing.hide or narrowing.only):
                raise ManifestError("patterns are of another directory")
            await self.holder.narrow(self, narrowing)
        except (LibosError, OSError):
            await self.revoke()
            return
        for child in list(self.children):
            await child._narrow_with_parent(narrowing)

    async def revoke(self, *, notice: float | None = None) -> None:
        """Take it back, with all that was made from it and all that is mounted below it. Does nothing the
        second time. Raises OSError, and may be called again then.

        With `notice`, seconds, the app is told first, in /mnt/ns/notices, and this returns as soon as it has
        given it back (`drop ID` in /mnt/ns/ctl); what it has not by then is taken. A cancelled notice is
        withdrawn. ValueError for a time that is none.
        """
        if notice is not None and not self.revoked:
            await self.holder.ask_back(self, notice)
        await self.end("revoke")

    async def end(self, action: str) -> None:
        """As `revoke`; `action` is what the events say: "revoke", or "drop" by the app itself."""
        if self.revoked:
            return
        self.revoked = True
        try:
            for other in (*self.children, *await self.holder.standing_on(self)):
                await other.end(action)
            await self.holder.take(self, action)
        except BaseException:
            self.revoked = False
            raise
        if self.parent is not None and self in self.parent.children:
            self.parent.children.remove(self)

    async def copy(self) -> int:
        """A detached copy of what the kernel mounts for it; the caller's. Raises OSError, HostError."""
        return await self.holder.copy(self)

    def describe(self) -> dict[str, object]:
        """What it is, as `libos grants` prints it."""
        from libos.plan.lines import asked

        mount = self.placement.mount
        return {
            "id": self.id,
            "at": self.at,
            "what": asked(mount),
            "mechanism": self.mechanism,
            "from": mount.origin,
        }

    def _require(self) -> None:
        if self.revoked:
            raise SupervisorError(f"the grant of {self.at} was revoked")


class Grants:
    """All grants of one world, by their ids."""

    def __init__(self, name: str, live: LiveView, hub: Hub, notices: Notices) -> None:
        self.name = name
        self._live = live
        self._hub = hub
        self._notices = notices
        self._numbers = count(1)
        self._grants: dict[str, Grant] = {}
        for placement in live.placements.values():
            self._relate(self._add(placement, None))

    def __iter__(self) -> Iterator[Grant]:
        return iter(list(self._grants.values()))

    def get(self, name: str) -> Grant:
        """The grant of an id, or at a mount point. Raises SupervisorError where there is none."""
        found = self._grants.get(name) or next((each for each in self if each.at == name), None)
        if found is None:
            raise SupervisorError(f'no grant is "{name}": libos grants lists them')
        return found

    def at(self, place: str) -> list[Grant]:
        """All that is mounted at a place, the last first; several where it is a union."""
        return [each for each in reversed(list(self)) if each.at == place]

    def mounts(self) -> tuple[Mount, ...]:
        """What is mounted now."""
        return self._live.namespace().mounts

    async def mount(self, mount: Mount) -> Grant:
        """Mount one thing more. Raises ManifestError where it cannot stand, OSError, SupervisorError."""
        if not isinstance(mount.source, BoundSource):
            refuse_later(self._live.within, f'"{mount.at}" cannot be mounted')
        if isinstance(mount.source, BoundSource):
            read_only = mount.mode is Mode.READ_ONLY
            return await self.bind(mount.source.path, mount, read_only=read_only)
        return self._mounted(await self._live.mount(mount), None)

    async def bind(self, source: str, mount: Mount, *, read_only: bool = False) -> Grant:
        """Mount a second time what the world shows at `source`, as writable as it is there or `read_only`. It
        dies with each grant of which it shows something. Raises ManifestError, OSError, SupervisorError."""
        placement, origins = await self._live.bind(source, mount, read_only=read_only)
        bound = self._mounted(placement, None)
        for grant in self:
            if grant.placement in origins:
                grant.children.append(bound)
        return bound

    async def mount_grant(self, at: str, parent: Grant, narrowing: Narrowing) -> Grant:
        """Mount what another grant holds, narrower or as it is. Errors as `mount`."""
        parent._require()
        if parent.holder.name not in (self.name, self._live.within):
            refuse_later(self._live.within, f'"{at}" cannot be mounted')
        shared = parent.placement
        label = self._live.label_of_shared(parent.holder._live, shared)
        mount = narrowing.over(replace(shared.mount, at=at, origin=f"grant {parent.id}"))
        if shared.served:
            assert shared.node is not None
            # No kernel mount stands before a node: what may be written is the node's own matter.
            node = read_only(shared.node) if narrowing.read_only else shared.node
            mount = Mount(at, NodeSource(node), shared.mount.mode, layers=label, origin=mount.origin)
            mount = narrowing.over(mount)
            placement = await self._live.mount(replace(mount, revocable=True))
        elif mount.layers:
            placement = await self._live.mount(_served_anew(mount))
        else:
            placement = await self._live.mount_shared(mount, parent.holder._live, shared)
        child = self._mounted(placement, parent)
        parent.children.append(child)
        return child

    async def narrow(self, grant: Grant, narrowing: Narrowing) -> None:
        """Narrow one grant of this world; see `Grant.narrow`."""
        note = await self._live.narrow(grant.placement, narrowing.over(grant.placement.mount))
        if note.replaced is not None:
            grant.placement = note.replaced
        self._tell(grant, "narrow", note=note.text, **narrowing.fields())

    async def follow(self, grant: Grant, narrowing: Narrowing) -> None:
        """Let a served grant of this world show what its parent's layers have become."""
        self._live.follow(grant.placement, narrowing.over(grant.placement.mount))
        await self._live.settle()

    async def standing_on(self, grant: Grant) -> list[Grant]:
        """The grants of this world that stand on one, the deepest first."""
        by_placement = {id(each.placement): each for each in self}
        return [
            by_placement[id(each)]
            for each in await self._live.standing_on(grant.placement)
            if id(each) in by_placement
        ]

    async def take(self, grant: Grant, action: str) -> None:
        """Take one grant of this world out; see `Grant.end`."""
        await self._live.unmount(grant.placement)
        for each in self:  # an app binds and drops for as long as it likes
            if grant in each.children:
                each.children.remove(grant)
        if self._grants.pop(grant.id, None) is not None:
            self._notices.ended(grant.id, grant.at, action)
            self._tell(grant, action, note=LIVES_ON if grant.placement.lives_on else "")

    async def copy(self, grant: Grant) -> int:
        """See `Grant.copy`."""
        return await self._live.copy(grant.placement)

    async def ask_back(self, grant: Grant, seconds: float) -> None:
        """Ask the app for a grant, and wait until it is given back or the time is over."""
        require_seconds(seconds)
        self._tell(grant, "notice", seconds=seconds)
        await self._notices.give(grant.id, grant.at, seconds)

    def gave_up(self) -> None:
        """Note that the world has given up all names: nothing can be granted or taken any more, and what is
        open lives on."""
        for grant in self:
            grant.revoked = True
            self._tell(grant, "drop", note=LIVES_ON)
        self._grants.clear()

    def _relate(self, bound: Grant) -> None:
        """Make a bind of the manifest die with the grants that it shows something of."""
        source = bound.placement.mount.source
        if isinstance(source, BoundSource):
            for grant in self:
                above = is_at_or_below(source.path, grant.at)
                if grant is not bound and (above or is_at_or_below(grant.at, source.path)):
                    grant.children.append(bound)

    def _mounted(self, placement: Placement, parent: Grant | None) -> Grant:
        grant = self._add(placement, parent)
        self._tell(grant, "mount")
        return grant

    def _add(self, placement: Placement, parent: Grant | None) -> Grant:
        grant = Grant(str(next(self._numbers)), placement, self, parent)
        self._grants[grant.id] = grant
        return grant

    def _tell(self, grant: Grant, action: str, note: str = "", **fields: object) -> None:
        where = {"path": grant.at}
        self._hub.tell_grant(self.name, action, grant.id, where, grant.mechanism, note, **fields)


def _served_anew(mount: Mount) -> Mount:
    if not isinstance(mount.source, HostSource):
        raise ManifestError(
            f'"{mount.at}" cannot be narrowed by names: mount it as revocable in the first place'
        )
    return mount
