"""The served part of a world: its skeleton, and the nodes of its plan, on the file server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from libos.fs import synthetic
from libos.fs.node import Node
from libos.fs.skeleton import Skeleton
from libos.namespace import BytesSource, FunctionSource, NodeSource, Source, TextSource, WorldSource
from libos.net.names import Names
from libos.plan import Plan
from libos.steps import slot_name

if TYPE_CHECKING:
    from libos.fs.server import Server

Observe = Callable[[str, Mapping[str, object]], None]


class View:
    """Serves a plan's nodes from entering to `close`, which also cancels what still waits in one of them."""

    def __init__(self, server: Server, world_id: str, plan: Plan, names: Names, observe: Observe) -> None:
        self._server = server
        self._id = world_id
        self._plan = plan
        self._names = names
        self._observe = observe
        self._stack = ExitStack()

    def __enter__(self) -> View:
        skeleton = Skeleton(self._on_absent)
        for path, is_directory in self._plan.points:
            skeleton.placeholder(path.encode(), is_directory)
        with self._stack:
            for served in self._plan.served:
                node = self._node(served.source)
                if served.slot is None:
                    skeleton.attach(served.at.encode(), node)
                else:
                    self._attach(slot_name(self._id, served.slot), node)
            self._attach(self._id, skeleton)
            self._stack = self._stack.pop_all()
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

    def _node(self, source: Source) -> Node:
        match source:
            case TextSource():
                return synthetic.text(source.text)
            case BytesSource():
                return synthetic.data(source.data)
            case FunctionSource():
                return synthetic.function(source.function)
            case NodeSource():
                return source.node
            case WorldSource("hosts"):
                return synthetic.text(self._names.hosts())
            case WorldSource("resolv.conf"):
                return synthetic.text(self._names.resolv_conf())
        raise NotImplementedError(f"{type(source).__name__} is not served")
