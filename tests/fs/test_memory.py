"""The tree in memory: its limits, and what it does beyond the table of cases."""

from __future__ import annotations

import errno
import gc
import os
import stat
from contextlib import AbstractContextManager
from typing import cast

import pytest
from mounting import mounted

from libos.fs.memory import MemoryDirectory, memory_tree
from libos.fs.node import Caller, Change

CALLER = Caller(uid=1000, gid=1000)


def tree(bytes_: int = 1 << 20, nodes: int = 100) -> MemoryDirectory:
    """A small tree."""
    return cast(MemoryDirectory, memory_tree(limit_bytes=bytes_, limit_nodes=nodes))


def refused(number: int) -> AbstractContextManager[object]:
    """A context that demands an errno."""
    return pytest.raises(OSError, check=lambda error: error.errno == number)


async def test_bytes_beyond_the_limit_are_enospc_and_change_nothing() -> None:
    root = tree(10_000)
    _, handle = await root.create(b"a", 0o644, os.O_RDWR, CALLER)
    await handle.write(0, b"x" * 9_000)
    with refused(errno.ENOSPC):
        await handle.write(9_000, b"x" * 2_000)
    assert (await (await root.walk(b"a")).stat()).size == 9_000
    await handle.write(0, b"y" * 9_000)
    await (await root.walk(b"a")).setattr(Change(size=10))
    await handle.write(0, b"x" * 9_000)


async def test_nodes_beyond_the_limit_are_enospc() -> None:
    root = tree(nodes=3)
    await root.mkdir(b"a", 0o755, CALLER)
    await root.symlink(b"b", b"a", CALLER)
    with refused(errno.ENOSPC):
        await root.mkdir(b"c", 0o755, CALLER)
    await root.remove(b"b", directory=False)
    await root.mkdir(b"c", 0o755, CALLER)


async def test_holes_cost_nothing_and_names_do() -> None:
    root = tree(1000)
    node, _ = await root.create(b"a", 0o644, os.O_RDWR, CALLER)
    await node.setattr(Change(size=1 << 40))
    assert (await node.stat()).blocks == 0
    with refused(errno.ENOSPC):
        for number in range(100):
            await root.create(b"%d" % number, 0o644, os.O_RDWR, CALLER)


async def test_everything_is_given_back() -> None:
    root = tree()
    before = (root.budget.bytes_left, root.budget.nodes_left)
    node, handle = await root.create(b"a", 0o644, os.O_RDWR, CALLER)
    await handle.write(0, b"x" * 5_000)
    await node.setxattr(b"user.a", b"value")
    await node.setxattr(b"user.a", b"v")
    await root.link(b"b", node)
    await root.rename(b"b", root, b"longer name", 0)
    await root.rename(b"longer name", root, b"c", 0)
    deep = cast(MemoryDirectory, await root.mkdir(b"d", 0o755, CALLER))
    await deep.symlink(b"l", b"target", CALLER)
    await deep.rename(b"l", root, b"l", 0)
    await root.remove(b"a", directory=False)
    await root.remove(b"c", directory=False)
    assert root.budget.bytes_left < before[0] - 5_000, "the open file still counts"
    del node, handle, deep
    await root.remove(b"d", directory=True)
    await root.remove(b"l", directory=False)
    gc.collect()
    assert (root.budget.bytes_left, root.budget.nodes_left) == before


async def test_a_whole_tree_is_given_back_with_its_directory() -> None:
    root = tree()
    before = (root.budget.bytes_left, root.budget.nodes_left)
    first = cast(MemoryDirectory, await root.mkdir(b"d", 0o755, CALLER))
    node, handle = await first.create(b"a", 0o644, os.O_RDWR, CALLER)
    await handle.write(0, b"x" * 100)
    root.children.clear()
    root.budget.charge(-64 - 1)
    del first, node, handle
    assert (root.budget.bytes_left, root.budget.nodes_left) == before


async def test_a_removed_directory_takes_no_names() -> None:
    root = tree()
    directory = cast(MemoryDirectory, await root.mkdir(b"d", 0o755, CALLER))
    await root.remove(b"d", directory=True)
    with refused(errno.ENOENT):
        await directory.mkdir(b"e", 0o755, CALLER)
    with refused(errno.ENOENT):
        await root.rename(b"absent", directory, b"x", 0)
    assert (await directory.stat()).links == 0


async def test_writing_drops_set_user_id_bits() -> None:
    root = tree()
    node, handle = await root.create(b"a", 0o6755, os.O_RDWR, CALLER)
    await handle.write(0, b"x")
    assert (await node.stat()).mode == stat.S_IFREG | 0o755
    await node.setattr(Change(mode=0o6755))
    assert (await node.setattr(Change(uid=1000))).mode == stat.S_IFREG | 0o755


async def test_a_set_group_id_directory_gives_its_group_on() -> None:
    root = tree()
    directory = cast(MemoryDirectory, await root.mkdir(b"d", 0o2755, Caller(uid=1000, gid=7)))
    below = await directory.mkdir(b"e", 0o755, CALLER)
    assert ((await below.stat()).gid, (await below.stat()).mode) == (7, stat.S_IFDIR | 0o2755)


async def test_trees_do_not_mix() -> None:
    one, other = tree(), tree()
    node, _ = await one.create(b"a", 0o644, os.O_RDWR, CALLER)
    with refused(errno.EXDEV):
        await other.link(b"a", node)
    with refused(errno.EXDEV):
        await one.rename(b"a", other, b"a", 0)
    with refused(errno.EINVAL):
        await one.rename(b"a", one, b"b", 4)
    with refused(errno.EINVAL):
        await one.rename(b"a", one, b"b", 3)


async def test_a_full_tree_is_enospc_for_programs_and_lives_on() -> None:
    code = """
file = open("w/a", "wb", buffering=0)
try:
    while True: file.write(b"x" * 100_000)
except OSError as error: print(errno.errorcode[error.errno])
file.truncate(0); file.seek(0); print(file.write(b"x" * 1000))
"""
    async with mounted({"w": tree()}) as mount:
        assert (await mount.python(code)).out == b"ENOSPC\n1000\n"


async def test_moving_between_two_served_trees_works_as_between_two_file_systems() -> None:
    root = tree()
    await root.mkdir(b"d", 0o755, CALLER)
    root.children[b"other"] = tree()
    async with mounted({"w": root}) as mount:
        result = await mount.run("sh", "-c", "echo x > w/a && mv w/a w/other/a && cat w/other/a; ls w")
        assert result.out == b"x\nd\nother\n", result
