"""Layers: a node that wraps a node and adds one property.

Each function gives the node with one more layer over it; they nest in any order, and there is one wrapper a
node however many there are. `stack_of(node)` gives the `Stack`, by which layers are changed while the tree is
served, or all of it is revoked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from libos.fs.layers.layer import Call, Layer, Proceed
from libos.fs.layers.stack import Stack, stack_of

if TYPE_CHECKING:
    from libos.fs.layers.asking import Question
    from libos.fs.layers.auditing import Tell
    from libos.fs.layers.labelling import Tell as Told
    from libos.fs.node import Node

__all__ = [
    "Call", "Layer", "Proceed", "Stack", "append_only", "ask", "audited", "counted", "faulty", "hide",
    "labelled", "layered", "only", "quota", "read_only", "revocable", "stack_of",
]  # fmt: skip


def layered(node: Node, *layers: Layer, at: bytes = b"") -> Node:
    """`node` with these layers over it, the first one nearest; those that it has already stay below them.
    Given none, it still has a stack, by which it can be revoked. Revoking what was given revokes what comes
    back too. `at` is where it will stand in its world."""
    below = stack_of(node)
    inner = below.root_of(node) if below else None
    if inner is not None:
        return Stack(layers, at=at, parent=below).wrap(inner)
    return Stack(layers, at=at).wrap(node)


def revocable(node: Node) -> Node:
    """What `stack_of(…).revoke()` takes back: then everything is EIO, for what is open too."""
    return layered(node)


def read_only(node: Node) -> Node:
    """Every change is EROFS."""
    from libos.fs.layers.readonly import ReadOnly

    return layered(node, ReadOnly())


def append_only(node: Node) -> Node:
    """Files grow at their end and lose nothing: EPERM."""
    from libos.fs.layers.appending import AppendOnly

    return layered(node, AppendOnly())


def hide(node: Node, patterns: Iterable[str]) -> Node:
    """Names that match a pattern of gitignore(5) are absent. ValueError for one that cannot be read."""
    from libos.fs.layers.hiding import Hide

    return layered(node, Hide(patterns))


def only(node: Node, patterns: Iterable[str]) -> Node:
    """Names that match no pattern are absent, but for directories that lead to one. ValueError as `hide`."""
    from libos.fs.layers.showing import Only

    return layered(node, Only(patterns))


def counted(
    node: Node,
    *,
    reads: int | None = None,
    bytes_read: int | None = None,
    writes: int | None = None,
    bytes_written: int | None = None,
) -> Node:
    """Counts what passes; EDQUOT beyond a limit. The last layer of its stack has `totals`."""
    from libos.fs.layers.counting import Counted

    limits = {"reads": reads, "bytes_read": bytes_read, "writes": writes, "bytes_written": bytes_written}
    return layered(node, Counted(**limits))


def quota(node: Node, *, size: int | None = None, files: int | None = None) -> Node:
    """Limits what a writable tree holds: bytes, and files of any kind; EDQUOT beyond."""
    from libos.fs.layers.quotas import Quota

    return layered(node, Quota(size=size, files=files))


def audited(node: Node, tell: Tell) -> Node:
    """Calls `tell(call, errno, bytes)` after each operation; it must not wait."""
    from libos.fs.layers.auditing import Audited

    return layered(node, Audited(tell))


def labelled(node: Node, tell: Told, *, reads: bool, writes: bool) -> Node:
    """What labels let a program do: EACCES where it may not read, or not write. Where it may write alone, a
    file takes what is added to its end. Calls `tell(call, rule)` with the rule that refuses, or "", for each
    open, change and refusal; it must not wait."""
    from libos.fs.layers.labelling import Labelled

    return layered(node, Labelled(reads=reads, writes=writes, tell=tell))


def ask(node: Node, opened: Callable[[Question], None], *, timeout: float = 60.0) -> Node:
    """Files wait until the question that `opened` was called with is answered, `question.give("once")`; after
    `timeout` seconds the answer is no. `opened` must not wait."""
    from libos.fs.layers.asking import Ask

    return layered(node, Ask(opened, timeout=timeout))


def faulty(
    node: Node,
    *,
    seed: int = 0,
    rate: float = 0.0,
    errors: Iterable[int | str] = ("EIO",),
    short: float = 0.0,
    delay: float = 0.0,
    patterns: Iterable[str] = (),
) -> Node:
    """Errors, short reads and delays, the same ones for the same seed; see `libos.fs.layers.faults`."""
    from libos.fs.layers.faults import Faulty

    layer = Faulty(seed=seed, rate=rate, errors=errors, short=short, delay=delay, patterns=patterns)
    return layered(node, layer)
