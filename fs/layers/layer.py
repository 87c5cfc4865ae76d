"""What a layer is: one property of a tree, said in few hooks.

Rules:
- A layer knows paths, not places: `b""` is the root of the tree that it lies over, `b"a/b"` a file below it.
- A layer holds its own state; one layer object lies over one tree.
- `hides`, `waits`, `cache` and `direct` are called in the middle of a lookup and never wait.
- `around` may wait, may be cancelled wherever it waits, and calls `proceed` at most once.
- A hook that a layer does not override costs nothing: `libos.fs.layers.stack` leaves it out of the way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from libos.fs.node import Cache, Caller, Change, Directory, Handle, Node

# Goes on to the layer below, at last to the node; gives what the operation gives.
Proceed = Callable[[], Awaitable[Any]]

# What looks and takes nothing, by the names of the methods of Node, Directory, File, Symlink and Handle.
LOOKS = frozenset({"walk", "readdir", "stat", "getxattr", "listxattr", "readlink", "open", "read", "fsync"})
# What makes or takes away a name.
NAMES = frozenset({"create", "mkdir", "symlink", "mknod", "link", "remove", "rename"})
# What changes a file that is there.
CHANGES = frozenset({"setattr", "setxattr", "removexattr", "write"})
ALL = LOOKS | NAMES | CHANGES


@dataclass(slots=True)
class Call:
    """One operation on its way to a node.

    `path` is what it is about; for what makes, moves or takes away a name, the path of that name. `node` is
    the layered node itself without its layers: a directory for operations on a name of it, which is `name`.
    `to`, `to_name` and `to_path` are where rename leads; for link `to` is the node that gets a further name,
    and `to_path` is where that node stood. Of a write, `offset` and `data` may be changed on the way.
    """

    operation: str
    path: bytes
    node: Node
    name: bytes = b""
    flags: int = 0
    offset: int = 0
    size: int = 0
    data: bytes = b""
    change: Change | None = None
    caller: Caller | None = None
    handle: Handle | None = None
    to: Node | None = None
    to_name: bytes = b""
    to_path: bytes = b""

    @property
    def directory(self) -> bool:
        """Whether the node is a directory."""
        return isinstance(self.node, Directory)


class Layer:
    """The hooks, each doing nothing."""

    # The operations for which `around` is called. What ends a handle ("close") passes every layer unasked.
    operations: frozenset[str] = frozenset()
    # Seconds that an operation may wait here, besides what the node itself may; None: no longer.
    patience: float | None = None

    def hides(self, path: bytes, directory: bool) -> bool:
        """Whether a name is absent: for looking it up, in listings, and for making it (EACCES)."""
        return False

    def waits(self, path: bytes, directory: bool) -> bool:
        """Whether `stat` of a file may wait or fail here, so that a lookup must not answer in its place."""
        return False

    def cache(self, cache: Cache, path: bytes) -> Cache:
        """What the kernel may keep of a file, given what it might keep without this layer."""
        return cache

    def direct(self, flags: int) -> bool:
        """Whether what is opened with these flags must not go through the kernel's pages."""
        return False

    async def around(self, call: Call, proceed: Proceed) -> Any:
        """Does `call` by `proceed`, or raises the OSError of an errno. What comes back is the operation's
        result, or one of the same type."""
        return await proceed()

    def closed(self, handle: Handle) -> None:
        """Told when an open file is closed: its own handle without layers, as open and create gave it."""

    async def begin(self, root: Node) -> None:
        """Called before the tree is first used, with its root without layers. May be called again."""
