"""The books of a quota are right whatever is done: what it says is used is what is there."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from layers.tree import Tree

from libos.fs import layers
from libos.fs.layers.quotas import Quota
from libos.fs.node import Directory, Node

path = st.sampled_from([b"a", b"b", b"d", b"d/a", b"d/b"])
size = st.integers(0, 60)
BEGIN: list[tuple[str, tuple[object, ...]]] = [
    ("mkdir", (b"d",)),
    ("put", (b"a", b"0123456789")),
    ("put", (b"d/a", b"01234567890123456789")),
    ("put", (b"b", b"012345678901234567890123456789")),
    *(("open", (name, os.O_RDWR)) for name in (b"a", b"b", b"d/a", b"a")),
]
step: st.SearchStrategy[tuple[str, tuple[object, ...]]] = st.one_of(
    st.tuples(st.just("open"), st.tuples(path, st.sampled_from([os.O_RDWR, os.O_RDWR | os.O_TRUNC]))),
    st.tuples(st.just("open"), st.tuples(path, st.just(os.O_CREAT | os.O_RDWR | os.O_APPEND))),
    st.tuples(st.just("write"), st.tuples(st.integers(3, 6), st.binary(max_size=40))),
    st.tuples(st.just("pwrite"), st.tuples(st.integers(3, 6), st.binary(max_size=40), size)),
    st.tuples(st.just("close"), st.tuples(st.integers(3, 6))),
    st.tuples(st.just("truncate"), st.tuples(path, size)),
    st.tuples(st.just("mkdir"), st.tuples(path)),
    st.tuples(st.just("rmdir"), st.tuples(path)),
    st.tuples(st.just("unlink"), st.tuples(path)),
    st.tuples(st.just("link"), st.tuples(path, path)),
    st.tuples(st.just("symlink"), st.tuples(st.just(b"a"), path)),
    st.tuples(st.just("rename"), st.tuples(path, path, st.sampled_from([0, 1, 2]))),
)


async def nodes(top: Node) -> AsyncIterator[Node]:
    """Each node below a directory, once for each of its names."""
    if isinstance(top, Directory):
        for name in await top.readdir():
            node = await top.walk(name)
            yield node
            async for below in nodes(node):
                yield below


async def held(tree: Tree, open_nodes: set[Node]) -> tuple[int, int]:
    """Bytes and files of a tree, with what is open and has no name any more."""
    found = {node async for node in nodes(tree.inner)} | open_nodes
    sizes = [
        (await node.stat()).size
        for node in found
        if not isinstance(node, Directory) and node.kind == 0o100000
    ]
    return sum(sizes), len(found)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(step, min_size=5, max_size=25),
    st.sampled_from([70, 100, 150, 1000]),
    st.sampled_from([4, 5, 6, 100]),
)
def test_what_is_used_is_what_is_there(
    steps: list[tuple[str, tuple[object, ...]]], most: int, most_files: int
) -> None:
    async def run() -> None:
        tree = Tree(lambda node: layers.quota(node, size=most, files=most_files))
        quota = tree.stack.layers[-1]
        assert isinstance(quota, Quota)
        for operation, arguments in (*BEGIN, *steps):
            try:
                await getattr(tree.inside, operation)(*arguments)
            except (OSError, KeyError):
                pass  # refused, or no such descriptor
            opened = {getattr(each.node, "inner", None) for each in tree.opened.open_files.values()}
            there = await held(tree, {node for node in opened if node is not None})
            assert (quota.used, quota.files) == there, (operation, arguments)
            assert quota.used <= most and quota.files <= most_files
        recount = Quota()
        await tree.opened.close_all()
        await recount.begin(tree.inner)
        assert (quota.used, quota.files) == (recount.used, recount.files)

    trio.run(run)
