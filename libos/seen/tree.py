"""What a world's files are, as far as they were used or looked for: nodes by path, with counters. Pure.

Rules: bounded, whatever an app does: beyond MOST nodes, and below DEEPEST, what happens counts for the
nearest node that is there, as `beyond`. Each count stands at its own node, and in the sums of all nodes above
it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

# Nodes of one tree, some 600 bytes each.
MOST = 20_000
# Names in a path that get nodes of their own.
DEEPEST = 64

# What is done with a path, beside being looked for where it is absent.
OPERATIONS = ("look", "list", "read", "write", "execute", "create", "remove", "change", "follow")
ABSENT = "absent"
DENIED = "denied"


@dataclass(eq=False, slots=True)
class TreeNode:
    """One name. `own` counts what was done with it by operation ("absent" and "denied" among them), `sums`
    that of all below it too. `grant` is the number of the grant that stands here, `last` when it was
    touched."""

    name: str
    parent: TreeNode | None = field(default=None, repr=False)
    children: dict[str, TreeNode] = field(default_factory=dict, repr=False)
    own: Counter[str] = field(default_factory=Counter)
    sums: Counter[str] = field(default_factory=Counter)
    beyond: int = 0
    grant: int | None = None
    last: float = 0.0

    @property
    def path(self) -> str:
        """Its absolute path."""
        names: list[str] = []
        node: TreeNode | None = self
        while node is not None and node.parent is not None:
            names.append(node.name)
            node = node.parent
        return "/" + "/".join(reversed(names))

    @property
    def is_absent(self) -> bool:
        """Whether it was looked for, and nothing else was ever done with it or below it."""
        return bool(self.own[ABSENT]) and self.grant is None and not (self.sums.keys() - {ABSENT})

    def walk(self) -> Iterator[TreeNode]:
        """It and all below it, parents first, names sorted."""
        left = [self]
        while left:
            node = left.pop()
            yield node
            left.extend(node.children[name] for name in sorted(node.children, reverse=True))


class Tree:
    """All nodes of one world."""

    def __init__(self, most: int = MOST) -> None:
        self.root = TreeNode("")
        self.size = 1
        self._most = most

    @property
    def is_full(self) -> bool:
        """Whether some nodes stand for paths below them."""
        return self.size >= self._most

    def find(self, path: str) -> TreeNode | None:
        """The node of a path; None where it was never touched."""
        node: TreeNode | None = self.root
        for name in _names(path):
            node = node.children.get(name) if node else None
        return node

    def place(self, path: str) -> tuple[TreeNode, bool]:
        """The node of a path, made where it is not there, and whether it is its own: where there is no room,
        it is the nearest above it."""
        node = self.root
        for depth, name in enumerate(_names(path)):
            inner = node.children.get(name)
            if inner is None:
                if self.is_full or depth >= DEEPEST:
                    return node, False
                inner = node.children[name] = TreeNode(name, node)
                self.size += 1
            node = inner
        return node, True

    def count(self, path: str, operation: str, count: int, time: float) -> TreeNode:
        """Count something done with a path, and give the node that stands for it."""
        node, is_own = self.place(path)
        if not is_own:
            node.beyond += count
        node.own[operation] += count
        above: TreeNode | None = node
        while above is not None:
            above.sums[operation] += count
            above.last = max(above.last, time)
            above = above.parent
        return node


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name]
