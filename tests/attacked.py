"""A served host tree for what an app may try with it: `folder` is served, `secret` stands beside it."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from libos.fs.descriptors import TOTAL
from libos.fs.host import HostTree
from libos.fs.node import Caller
from libos.fs.skeleton import Skeleton
from libos.fs.synthetic import text

CALLER = Caller()


@contextmanager
def served(folder: Path, *, capacity: int | None = None) -> Iterator[HostTree]:
    """The folder as a tree that may be written."""
    fd = os.open(folder, os.O_RDONLY)
    tree = HostTree(fd, writable=True, capacity=capacity)
    os.close(fd)
    try:
        yield tree
    finally:
        tree.close()


@contextmanager
def few_descriptors(count: int) -> Iterator[None]:
    """This process may have so many more than it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    TOTAL.set_limits()
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        TOTAL.set_limits()


def text_root() -> Skeleton:
    """Another world's tree."""
    root = Skeleton(lambda path: None)
    root.attach(b"/fine", text("fine"))
    return root
