"""What tests of nodes that are programs share."""

from __future__ import annotations

import os

from libos.fs.node import Caller, File, Handle, Node
from libos.fs.skeleton import Skeleton

ASKER = Caller(7, 1000, 1000)


def tree(**nodes: Node) -> Skeleton:
    """A world's root with these nodes in it."""
    root = Skeleton(lambda path: None)
    for name, node in nodes.items():
        root.attach(f"/{name}".encode(), node)
    return root


async def opened(node: Node, flags: int = os.O_RDONLY) -> Handle:
    """The node's file, open."""
    assert isinstance(node, File)
    return await node.open(flags, ASKER)


async def content(node: Node) -> bytes:
    """All that one open of the node reads."""
    handle = await opened(node)
    data = b""
    while chunk := await handle.read(len(data), 1 << 16):
        data += chunk
    await handle.close()
    return data
