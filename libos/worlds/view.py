"""The served part of a world: its skeleton, and the nodes of its plan, on the file server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from libos.fs.node import Node
from libos.fs.skeleton import Skeleton
from libos.worlds.nodes import make_node
from libos.worlds.steps import slot_name

if TYPE_CHECKING:
    from libos.fs.server import Server
    from libos.net.names import Names
    from libos.plan import Plan

Observe = Callable[[str, Mapping[str, object]], None]


class View:
    """Serves a plan's nodes from `serve` to `close`, which also cancels what still waits in one of them."""

    def __init__(self, server: Server, world_id: str, plan: Plan, observe: Observe) -> None:
        self._server = server
        self._id = world_id
        self._plan = plan
        self._observe = observe
        self._stack = ExitStack()

    async def serve(self, names: Names, make_overlay: Callable[[str], Awaitable[int]]) -> None:
        """Make the nodes and serve them. Raises OSError where a host source cannot be opened."""
        skeleton = Skeleton(self._on_absent)
        for path, is_directory in self._plan.points:
            skeleton.placeholder(path.encode(), is_directory)
        for served in self._plan.served:
            node = await make_node(served, names, make_overlay, self._stack)
            if served.slot is None:
                skeleton.attach(served.at.encode(), node)
            else:
                self._attach(slot_name(self._id, served.slot), node)
        self._attach(self._id, skeleton)

    def __enter__(self) -> View:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving: waiting operations answer EINTR, the kernel forgets. May be called again."""
        self._stack.close()

    def _attach(self, name: str, node: Node) -> None:
        self._stack.callback(self._server.attach(name, node).close)

    def _on_absent(self, path: bytes) -> None:
        self._observe("path.absent", {"path": path.decode(errors="surrogateescape")})
