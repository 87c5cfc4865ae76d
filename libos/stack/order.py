"""The order in which the worlds of a stack are started: each after what it needs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter


class CircleError(ValueError):
    """Worlds that need each other: `names` is one circle, its first name again at the end."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(" -> ".join(names))
        self.names = tuple(names)


def start_order(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """The names so that each comes after what it needs, else as they are written. Raises CircleError."""
    written = {name: place for place, name in enumerate(needs)}
    sorter = TopologicalSorter(needs)
    try:
        sorter.prepare()
    except CycleError as error:
        raise CircleError(list(reversed(error.args[1]))) from None
    order: list[str] = []
    waiting: list[str] = []
    while sorter.is_active():
        waiting = sorted([*waiting, *sorter.get_ready()], key=written.__getitem__)
        order.append(waiting.pop(0))
        sorter.done(order[-1])
    return order
