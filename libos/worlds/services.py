"""The services of one world: unix sockets whose listeners the gate has, and whose files are mounted.

The keeper makes each socket in a tmpfs that no world sees and gives its listener and a detached mount of its
file; so a world's init mounts it like any other file, and the app can reach nothing else of it.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from libos.namespace import ServiceSource
from libos.net.outbound.service import Service, answered_by, parse_service
from libos.plan import BindService
from libos.worlds.messages import close_all

if TYPE_CHECKING:
    from libos.net.gate import Gate
    from libos.net.outbound.connecting import ByWay
    from libos.net.outbound.function import ByFunction
    from libos.plan import Plan
    from libos.worlds.keeping import Keeper


class Services:
    """Made before the world's gate runs; `open` then begins to serve what was made until then."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._gate: Gate | None = None
        self._made: dict[str, Service] = {}

    async def make(self, at: str, source: ServiceSource) -> int:
        """Make the socket of a service and give the detached mount of its file, which the caller owns. Raises
        OSError, SupervisorError."""
        listener_fd, tree_fd = await self._keeper.service()
        service = self._made[at] = Service(at, socket.socket(fileno=listener_fd), _way(source))
        try:
            if self._gate is not None:
                self._gate.offer(service)
        except BaseException:
            self.end(at)
            os.close(tree_fd)
            raise
        return tree_fd

    async def trees(self, plan: Plan, messages: list[dict[str, Any]], first: int) -> list[int]:
        """The trees of a plan's services, and in the message of each step which one is its own: they follow
        the `first` ones that go down with the messages. Errors as `make`, and then none."""
        trees: list[int] = []
        sources = {mount.at: mount.source for mount in plan.namespace}
        try:
            for message, step in zip(messages, plan.steps, strict=True):
                source = sources.get(step.at)
                if isinstance(step, BindService) and isinstance(source, ServiceSource):
                    message["tree"] = first + len(trees)
                    trees.append(await self.make(step.at, source))
        except BaseException:
            close_all(trees)
            raise
        return trees

    def open(self, gate: Gate) -> None:
        """Serve, by the world's gate."""
        self._gate = gate
        for service in self._made.values():
            gate.offer(service)

    def end(self, at: str) -> None:
        """Take the service at a place back. Does nothing where there is none."""
        if (service := self._made.pop(at, None)) is not None:
            service.close()

    def close(self) -> None:
        """Take all back."""
        for at in list(self._made):
            self.end(at)


def _way(source: ServiceSource) -> ByWay | ByFunction:
    return parse_service(source.to) if isinstance(source.to, str) else answered_by(source.to)
