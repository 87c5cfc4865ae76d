"""Layers: a node that wraps a node and adds one property.

Each function gives the node with one more layer over it; they nest in any order, and there is one wrapper a
node however many there are. `stack_of(node)` gives the `Stack`, by which layers are changed while the tree is
served, or all of it is revoked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libos.fs.layers.layer import Call, Layer, Proceed
from libos.fs.layers.stack import Stack, stack_of

if TYPE_CHECKING:
    from libos.fs.node import Node

__all__ = ["Call", "Layer", "Proceed", "Stack", "layered", "stack_of"]


def layered(node: Node, *layers: Layer) -> Node:
    """`node` with these layers over it, the first one nearest; those that it has already stay below them.
    Given none, it still has a stack, by which it can be revoked. Revoking what was given revokes what comes
    back too."""
    below = stack_of(node)
    inner = below.root_of(node) if below else None
    if inner is not None:
        return Stack(layers, parent=below).wrap(inner)
    return Stack(layers).wrap(node)
