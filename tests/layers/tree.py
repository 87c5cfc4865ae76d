"""A layered tree in memory, called directly, for tests."""

from __future__ import annotations

from collections.abc import Callable

from conformance.files import Calls, NodeFiles

from libos.fs.layers import Stack, stack_of
from libos.fs.memory import memory_tree
from libos.fs.memory_nodes import MemoryNode
from libos.fs.node import Directory, Node


class Tree:
    """`inside` is what a program does through the layers, `outside` what others do to the tree itself."""

    def __init__(self, *lays: Callable[[Node], Node]) -> None:
        self.inner = memory_tree()
        node: Node = self.inner
        for lay in lays:
            node = lay(node)
        assert isinstance(node, Directory)
        self.root = node
        stack = stack_of(node)
        assert stack is not None
        self.stack: Stack = stack
        self.opened = NodeFiles(node)
        self.inside = Calls(self.opened)
        self.outside = Calls(NodeFiles(self.inner))

    def fill(self) -> None:
        """Leaves no room in the tree itself."""
        assert isinstance(self.inner, MemoryNode)
        self.inner.budget.bytes_left = 0
