"""The layers over one tree: one wrapper a node, however many layers there are.

Rules:
- The first layer is nearest to the tree. An operation passes the last layer first.
- The same node gives the same wrapper for as long as somebody holds it, so it is the same file to the server.
- A wrapper knows its path by its parent and name: where it was last found, or renamed to through its stack.
- Layers may be added and taken away while the tree is served; what is then absent is so for who holds it
  too. The kernel must be told: `Attachment.forget(stack.holds)`.
- A revoked stack answers EIO to everything, open handles too, and stays so. Whoever revokes it then tells
  the kernel (`forget`) and ends what waits (`Attachment.interrupt(stack.holds, EIO)`).
- A stack laid over the root of another one takes over its layers, and dies with it.
"""

from __future__ import annotations

import errno
import weakref
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from libos.fs.layers.layer import ALL, Call, Layer, Proceed
from libos.fs.node import Cache, Handle, Node, Wake, refusal

if TYPE_CHECKING:
    from libos.fs.layers.nodes import Layered

Result = TypeVar("Result")


class Stack:
    """Layers, and the wrappers of the nodes below them.

    `at` is where the tree stands in its world, for what layers tell of it. `parent` is a stack whose layers
    come first and whose end is this one's too.
    """

    def __init__(self, layers: Iterable[Layer] = (), *, at: bytes = b"", parent: Stack | None = None) -> None:
        self.at: bytes = at or (parent.at if parent else b"")
        self.parent = parent
        # Grows with every change of layers, and with every rename of a directory.
        self.version = 0
        self.moves = 0
        self._revoked = False
        self._root: Node | None = None
        self._own = list(layers)
        self._children: weakref.WeakSet[Stack] = weakref.WeakSet()
        self._wrappers: weakref.WeakValueDictionary[Node, Layered] = weakref.WeakValueDictionary()
        # Who polls an open file of the tree, to be told of a revoke.
        self.wakes: dict[Handle, Wake] = {}
        if parent is not None:
            parent._children.add(self)
        self._arrange()

    # --- layers

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, the one nearest to the tree first."""
        return (*(self.parent.layers if self.parent else ()), *self._own)

    @property
    def revoked(self) -> bool:
        """Whether it, or the stack that it was made from, was revoked."""
        return self._revoked or (self.parent is not None and self.parent.revoked)

    def add(self, layer: Layer) -> None:
        """Lays one more over all others, at once and for all that is held."""
        self._own.append(layer)
        self._arrange()

    def remove(self, layer: Layer) -> None:
        """Takes away a layer that was given to this stack itself; ValueError for any other."""
        self._own.remove(layer)
        self._arrange()

    def revoke(self) -> None:
        """From now on everything is EIO: for this stack and those made from it. Cannot be taken back."""
        self._revoked = True
        self._arrange()

    def _arrange(self) -> None:
        """Leaves each layer out of the way of what it does not care for."""
        layers = self.layers
        self.version += 1
        self._around = {
            name: tuple(layer for layer in layers if name in layer.operations)
            for name in ALL
            if any(name in layer.operations for layer in layers)
        }
        self.hiding = tuple(layer for layer in layers if _overrides(layer, "hides"))
        self.waiting = tuple(layer for layer in layers if _overrides(layer, "waits"))
        self._caching = tuple(layer for layer in layers if _overrides(layer, "cache"))
        self._direct = tuple(layer for layer in layers if _overrides(layer, "direct"))
        self._closing = tuple(layer for layer in layers if _overrides(layer, "closed"))
        self.patience = max((layer.patience for layer in layers if layer.patience is not None), default=None)
        for child in self._children:
            child._arrange()
        wakes, self.wakes = self.wakes, {}
        for wake in wakes.values():
            wake()

    # --- wrappers

    def wrap(self, node: Node) -> Layered:
        """The root of the layered tree. Once a stack."""
        self._root = node
        return self.wrapper(node, None, b"")

    def wrapper(self, node: Node, parent: Layered | None, name: bytes) -> Layered:
        """The wrapper of a node found at a name."""
        wrapper = self._wrappers.get(node)
        if wrapper is None:
            from libos.fs.layers.nodes import wrapper_class

            wrapper = self._wrappers[node] = wrapper_class(node)(self, node, parent, name)
        elif parent is not None:
            wrapper.stand(parent, name)
        return wrapper

    def root_of(self, node: Node) -> Node | None:
        """The node without layers, where `node` is the root's wrapper."""
        own = getattr(node, "stack", None) is self and getattr(node, "parent", None) is None
        return getattr(node, "inner", None) if own else None

    def held(self, node: Node) -> Layered | None:
        """The wrapper of a node, where somebody holds it."""
        return self._wrappers.get(node)

    def holds(self, node: Node) -> bool:
        """Whether a node is a wrapper of this stack or of one made from it."""
        stack: Stack | None = getattr(node, "stack", None)
        while stack is not None and stack is not self:
            stack = stack.parent
        return stack is self

    def shown(self, path: bytes) -> bytes:
        """Where a path of the tree is in the world."""
        return self.at + b"/" + path if path else self.at or b"/"

    # --- what wrappers ask

    async def begin(self, *layers: Layer) -> None:
        """Lets each layer look at the tree before its first use, or those that will be added."""
        assert self._root is not None, "wrap comes first"
        for layer in layers or self._own:
            await layer.begin(self._root)

    def admit(self, node: Layered) -> None:
        """EIO for what is revoked, and for what became absent while it was held: its name is ENOENT, but who
        has it open must not read on."""
        if self.revoked or node.absent():
            raise refusal(errno.EIO)

    def around(self, operation: str) -> tuple[Layer, ...]:
        """The layers that want to be around an operation."""
        return self._around.get(operation, ())

    def run(
        self,
        node: Layered,
        operation: str,
        work: Callable[..., Awaitable[Result]],
        *arguments: object,
        **about: Any,
    ) -> Awaitable[Result]:
        """The work, through all layers that want to be around such an operation; `about` are the fields of
        its Call besides the path and the node."""
        chain = self._around.get(operation)
        if chain is None:
            return work(*arguments)
        path = node.below(about["name"]) if "name" in about else node.path()
        return through(chain, Call(operation, path, node.inner, **about), partial(work, *arguments))

    def closed(self, handle: Handle) -> None:
        """Tells each layer that cares that an open file of the tree is closed."""
        for layer in self._closing:
            layer.closed(handle)

    def hides(self, path: bytes, directory: bool) -> bool:
        """Whether some layer makes a name absent."""
        return any(layer.hides(path, directory) for layer in self.hiding)

    def waits(self, path: bytes, directory: bool) -> bool:
        """Whether `stat` must be asked, and a lookup must not answer for it."""
        return any(layer.waits(path, directory) for layer in self.waiting)

    def cache(self, cache: Cache, node: Layered) -> Cache:
        """What the kernel may keep, after all layers."""
        if self.revoked:
            return Cache()
        if self._caching:
            path = node.path()
            for layer in self._caching:
                cache = layer.cache(cache, path)
        return cache

    def direct(self, flags: int) -> bool:
        """Whether some layer wants an open file kept out of the kernel's pages."""
        return any(layer.direct(flags) for layer in self._direct)


async def through(chain: tuple[Layer, ...], call: Call, proceed: Proceed) -> Any:
    """The operation, passing the last layer first."""
    for layer in chain:
        proceed = partial(layer.around, call, proceed)
    return await proceed()


def _overrides(layer: Layer, hook: str) -> bool:
    return getattr(type(layer), hook) is not getattr(Layer, hook)


def stack_of(node: Node) -> Stack | None:
    """The stack whose wrapper a node is."""
    return getattr(node, "stack", None)
