"""What stands where in a running world: one `Placement` a mount point."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from libos.namespace import Mount
from libos.plan import Bind, BindService, Overlay, Plan, Rebind, Tmpfs

if TYPE_CHECKING:
    from libos.fs.node import Node
    from libos.fs.union import Element, Union
    from libos.worlds.view import View

# What a step of a plan is called, for people.
MECHANISMS = {Bind: "bind", Rebind: "bind", Overlay: "overlay", Tmpfs: "tmpfs", BindService: "socket"}

_turns = count()


class Placement:
    """One mount of a running world."""

    def __init__(self, mount: Mount, mechanism: str, *, in_skeleton: bool, slot: str | None = None) -> None:
        self.mount = mount
        self.mechanism = mechanism  # "served", "bind", "overlay", "tmpfs", "socket"
        self.in_skeleton = in_skeleton
        self.slot = slot  # the name of its own attachment, where it stands below another mount
        self.joined: list[Mount] = []  # the further elements of a union
        self.turns = [next(_turns)]  # when it was mounted, and when each of these joined it
        self.node: Node | None = None
        self.resources = ExitStack()
        # Of a member of a union that changes: its own elements, and what they hold.
        self.union: LiveUnion | None = None
        self.elements: tuple[Element, ...] = ()
        self.element_resources = ExitStack()
        self.was_mounted = False  # by the kernel, before it became an element
        # Directories of it that a union shows below its place; they are taken back with it.
        self.shown_by: list[Node] = []

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """What stands there: of a union all elements, in order."""
        return (self.mount, *self.joined)

    @property
    def covers(self) -> bool:
        """Whether taking it out would show something that it covers."""
        behind = self.union is not None and not self.union.ends_with(self.elements)
        return behind or not self.in_skeleton

    @property
    def lives_on(self) -> bool:
        """Whether what is open of it may live on when it is taken out."""
        return self.was_mounted or not (self.served or self.mechanism == "socket")

    @property
    def served(self) -> bool:
        """Whether Python answers it, so that what is open of it can be revoked."""
        return self.mechanism == "served"


@dataclass(frozen=True)
class Ground:
    """What a union stands on: the element for it, and the mount that it is, `itself`, or a part of."""

    element: Element | None = None
    top: Placement | None = None
    resources: ExitStack = field(default_factory=ExitStack)
    itself: bool = False


class LiveUnion:
    """One union, and the grants of it: its members."""

    def __init__(self, union: Union, slot: str | None) -> None:
        self.union = union
        self.slot = slot  # under which its own mount is served; None for a union of the plan
        self.members: list[Placement] = []
        # What stood at its place: the member, and as it was before, which is taken out with the union.
        self.base: Placement | None = None
        self.covered: Placement | None = None
        self.ground: Ground | None = None  # where it is a part of a mount above: no member

    def ends_with(self, elements: tuple[Element, ...]) -> bool:
        """Whether these are the last elements: then taking them out shows nothing that they cover."""
        return self.union.elements[-len(elements) :] == elements


def in_turn(placements: Iterable[Placement]) -> Iterator[Mount]:
    """All that is mounted, in the order in which it was: the one in which text recreates it."""
    turns = [pair for each in placements for pair in zip(each.turns, each.mounts, strict=True)]
    yield from (mount for _, mount in sorted(turns, key=lambda pair: pair[0]))


def placements_of(plan: Plan, view: View) -> Iterator[Placement]:
    """What the plan has mounted."""
    placed: dict[str, Placement] = {}
    for placement in _placed_one_by_one(plan, view):
        first = placed.setdefault(placement.mount.at, placement)
        if first is not placement:
            first.joined.append(placement.mount)
            first.turns += placement.turns
    yield from placed.values()


def _placed_one_by_one(plan: Plan, view: View) -> Iterator[Placement]:
    steps = {step.at: step for step in plan.steps}
    served = {each.at: each for each in plan.served}
    points = {at for at, _ in plan.points}
    for mount in plan.namespace:
        at = mount.at
        if at in served:
            slot = served[at].slot
            name = None if slot is None else view.slot(slot)
            placement = Placement(mount, "served", in_skeleton=slot is None, slot=name)
            placement.node = view.nodes[at]
            yield placement
        elif at in steps and type(steps[at]) in MECHANISMS:
            yield Placement(mount, MECHANISMS[type(steps[at])], in_skeleton=at in points)
