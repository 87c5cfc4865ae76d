"""The gate of one world: what init opens for it, and what it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from libos.keeper.network import GATE
from libos.net import watcher
from libos.net.gate import Gate
from libos.net.inbound.publication import Publication
from libos.net.naming import dns
from libos.net.naming.names import Names
from libos.net.sockets import Spec
from libos.plan.network import capture_to, link_shape
from libos.publishing import publication

if TYPE_CHECKING:
    from libos.net.http.web import Web
    from libos.plan import Plan
    from libos.worlds.keeping import Keeper
    from libos.worlds.world import World

# What every world's gate needs: init opens them at once, without being asked.
_FLAT_SOCKETS: tuple[list[Spec], list[Spec]] = ([*watcher.specs(watcher.FLAT), *dns.SPECS], [])
_ROUTED_SOCKETS = (watcher.specs(watcher.ROUTED), dns.SPECS)


def first_sockets(plan: Plan) -> tuple[list[Spec], list[Spec]]:
    """What init opens by itself on the app's side, and on the gate's."""
    return _ROUTED_SOCKETS if plan.routed else _FLAT_SOCKETS


def new_gate(
    world_id: str,
    world: World,
    plan: Plan,
    names: Names,
    observe: Callable[[str, Mapping[str, object]], None],
    keeper: Keeper,
    web: Web,
) -> Gate:
    """The gate of a world that is forked; it opens nothing before it runs."""
    return Gate(
        world_id,
        world.open_sockets,
        names,
        observe,
        gate_sockets=partial(world.open_sockets, side=GATE) if plan.routed else None,
        shape=link_shape(plan.network),
        capture=capture_to(plan.network),
        sweeper=keeper,
        web=web,
    )


def published(plan: Plan) -> list[Publication]:
    """The ports that are reachable from outside from the start."""
    return [publication(each) for each in plan.listens if each.is_published]
