"""The file behind the descriptor `enter`: whoever writes to it gives up all names of the world, for good."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from libos.manifest.descriptors import ENTER

if TYPE_CHECKING:
    from libos.fs.node import Node
    from libos.introspection import Introspection
    from libos.plan import Plan
    from libos.worlds.world import World


def entering_nodes(plan: Plan, world: Callable[[], World], introspection: Introspection) -> dict[str, Node]:
    """The node, by the name of its source, where the plan has it. A write returns when it is done; a second
    one does nothing."""
    if plan.ambient:
        return {}
    from libos.fs.sink import sink

    entered = False

    async def receive(_: bytes) -> None:
        nonlocal entered
        if entered:
            return
        entered = True  # sync on purpose: no second one comes between
        try:
            await world().empty()
        except BaseException:
            entered = False
            raise
        if introspection.granting is not None:
            introspection.granting().gave_up()

    return {ENTER: sink(receive, mode=0o200)}
