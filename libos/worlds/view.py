"""The served part of a world: its skeleton, and the nodes of its plan, on the file server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, cast

from libos.fs.node import Node
from libos.fs.skeleton import Skeleton
from libos.namespace import ChannelSource, WorldSource
from libos.worlds.layering import Layering
from libos.worlds.nodes import make_node
from libos.worlds.replacing import Replacing
from libos.worlds.steps import slot_name
from libos.worlds.unions import Unions

if TYPE_CHECKING:
    from libos.asking import Questions
    from libos.fs.channel import Channel
    from libos.fs.server import Attachment, Server
    from libos.net.naming.names import Names
    from libos.plan import Plan, Served
    from libos.worlds.hostmounts import HostMounts
    from libos.worlds.pacing import Pace
    from libos.worlds.recording import Recording

Observe = Callable[[str, Mapping[str, object]], None]


class View:
    """Serves a plan's nodes from `serve` to `close`, which also cancels what still waits in one of them."""

    def __init__(
        self,
        server: Server,
        world_id: str,
        plan: Plan,
        observe: Observe,
        own: Mapping[str, Node],
        questions: Questions,
        app: int,
        pace: Pace,
        recording: Recording | None = None,
    ) -> None:
        """`own` has the nodes of the world's own files, by the names of their sources; `app` is the app's id
        in K; `pace` holds up an app that looks up absent names faster than they are read of; `recording` is
        told what is used."""
        self._owner = (app, app)
        self._own = own
        self._pace = pace
        self._recording = recording
        self._server = server
        self._id = world_id
        self._plan = plan
        self._observe = observe
        self._stack = ExitStack()
        self._slots = count()
        self._attached: dict[str, Attachment] = {}
        self._tops: dict[str, str] = {}
        self.skeleton = Skeleton(self._on_absent)
        self.layering = Layering(observe, questions, plan.policy)
        # What is served of the plan, by its place.
        self.nodes: dict[str, Node] = {}

    async def serve(self, names: Names, mounts: HostMounts) -> None:
        """Make the nodes and serve them. Raises OSError where a host source cannot be opened."""
        self.layering.outside = mounts.outside
        skeleton = self.skeleton
        unions = Unions(
            lambda served: make_node(served, names, mounts, self._stack, self.layering),
            self.layering,
            self._plan.served,
        )
        replacing = Replacing(skeleton, self._plan, self._on_absent)
        for path, is_directory in self._plan.points:
            skeleton.placeholder(path.encode(), is_directory)
        for served in self._plan.served:
            node = self._own_node(served) or await unions.node(served)
            self.nodes[served.at] = node
            replacing.allow(served, node)
            if served.slot is None:
                skeleton.attach(served.at.encode(), node)
            else:
                self.attach_slot(self.slot(served.slot), node, self._stack, served.at)
        self.attach_slot(self._id, skeleton, self._stack)

    def _own_node(self, served: Served) -> Node | None:
        return self._own.get(served.source.name) if isinstance(served.source, WorldSource) else None

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

    def channels(self) -> list[dict[str, object]]:
        """What passed through each channel."""
        places = [each.at for each in self._plan.served if isinstance(each.source, ChannelSource)]
        return [{"at": at, **cast("Channel", self.nodes[at]).totals()} for at in places]

    def slot(self, number: int) -> str:
        """The name, in the file server's root, of a node of the plan that stands below another mount."""
        return slot_name(self._id, number)

    def new_slot(self) -> str:
        """Such a name for a node that comes later."""
        return f"{self._id}.live.{next(self._slots)}"

    def attach_slot(self, name: str, node: Node, stack: ExitStack | None, at: str = "") -> None:
        """Serve a node under a name of the file server's root until `stack` or the view closes; it is bound
        at a place of the world."""
        stack = stack or self._stack
        self._tops[name] = at
        attachment = self._attached[name] = self._server.attach(name, node, self._owner, self)
        if self._recording is not None:
            attachment.uses, attachment.at = self._recording.uses, at.encode()
        stack.callback(self._detach, name, attachment)
        if stack is not self._stack:
            self._stack.callback(attachment.close)

    def _detach(self, name: str, attachment: Attachment) -> None:
        self._attached.pop(name, None)
        self._tops.pop(name, None)
        attachment.close()

    def mounted(self, at: str) -> None:
        """Note, for what records its uses, that something is mounted at a further place."""
        if self._recording is not None:
            self._recording.mounted(at)

    def revoke(self, at: str, slot: str | None) -> None:
        """Take back what is served at a place of the skeleton, or under a slot: what is open answers EIO."""
        attachment = self._attached.get(slot or self._id)
        if attachment is not None:
            attachment.revoke(b"" if slot else at[1:].encode())

    def revoke_covered(self, at: str, slot: str | None) -> None:
        """As `revoke`, where a mount that stays stands on the place."""
        attachment = self._attached.get(slot or self._id)
        if attachment is None:
            return
        node = attachment.revoke(b"" if slot else at[1:].encode(), covered=True)
        if node is not None and slot is None:
            self.skeleton.swap(at.encode(), node)

    def interrupt(self, which: Callable[[Node], bool], error: int) -> None:
        """End each operation that waits in one of these nodes with this errno."""
        for attachment in self._attached.values():
            attachment.interrupt(which, error)

    def point(self, at: str, directory: bool, undo: ExitStack) -> None:
        """Make a mount point in the skeleton, where there is none; `undo` takes it away again."""
        path = at.encode()
        made = not self.skeleton.has(path)
        self.skeleton.placeholder(path, directory)
        if made:
            undo.callback(self.skeleton.detach, path)

    def until_closed(self, resources: ExitStack) -> None:
        """Close something with the view, at the latest."""
        self._stack.push(resources)

    def forget(self, which: Callable[[Node], bool], mounted: Iterable[str] = ()) -> None:
        """Make the kernel forget what it keeps of these nodes, but for the names on which something is
        mounted."""
        places = [(place + "/").encode() for place in mounted]
        for name, attachment in self._attached.items():
            top = (self._tops.get(name, "") + "/").encode()
            attachment.forget(which, [at[len(top) : -1] for at in places if at.startswith(top)])

    async def settle(self) -> None:
        """Return when the kernel has heard of every change of the skeleton."""
        if (attachment := self._attached.get(self._id)) is not None:
            await attachment.settle()

    def _on_absent(self, path: bytes) -> Awaitable[None] | None:
        self._observe("path.absent", {"path": path.decode(errors="surrogateescape")})
        return self._pace.wait() if self._pace.is_due() else None
