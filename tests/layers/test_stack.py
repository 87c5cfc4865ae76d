"""The stack: one wrapper a node, paths that follow renames, layers that come and go, the end of it all."""

from __future__ import annotations

import errno
import gc
import os
from typing import Any

import pytest
from conformance.files import Calls, NodeFiles, refused
from layers.tree import Tree

from libos.fs import layers
from libos.fs.layers import Call, Layer, Proceed, layered, stack_of
from libos.fs.layers.hiding import Hide
from libos.fs.layers.layer import ALL
from libos.fs.layers.nodes import Layered
from libos.fs.layers.readonly import ReadOnly
from libos.fs.memory import memory_tree
from libos.fs.node import APP, Caller, Directory, File
from libos.fs.union import Element, Union


class Seen(Layer):
    """Notes what passes."""

    operations = ALL

    def __init__(self, name: str, log: list[tuple[str, str, bytes]]) -> None:
        self.name, self.log = name, log

    async def around(self, call: Call, proceed: Proceed) -> Any:
        self.log.append((self.name, call.operation, call.path))
        return await proceed()


async def test_the_same_node_is_the_same_wrapper_while_somebody_holds_it() -> None:
    tree = Tree(layers.revocable)
    await tree.inside.put(b"a")
    await tree.inside.link(b"a", b"b")
    first = await tree.root.walk(b"a")
    assert await tree.root.walk(b"a") is first
    assert await tree.root.walk(b"b") is first
    inner = await tree.inner.walk(b"a")
    del first
    tree.opened.open_files.clear()
    gc.collect()
    assert tree.stack.held(inner) is None


async def test_paths_follow_renames_of_every_directory_above() -> None:
    tree = Tree(layers.revocable)
    await tree.inside.mkdir(b"a")
    await tree.inside.mkdir(b"a/b")
    await tree.inside.put(b"a/b/c")
    node = await (await (await tree.root.walk(b"a")).walk(b"b")).walk(b"c")  # type: ignore[attr-defined]
    assert isinstance(node, Layered) and node.path() == b"a/b/c"
    await tree.inside.rename(b"a", b"z", 0)
    assert node.path() == b"z/b/c"
    await tree.inside.mkdir(b"y")
    await tree.inside.rename(b"z/b", b"y", 2)
    assert node.path() == b"y/c"


async def test_the_last_layer_is_passed_first_and_there_is_one_wrapper() -> None:
    log: list[tuple[str, str, bytes]] = []
    inner = memory_tree()
    node = layered(layered(inner, Seen("near", log)), Seen("far", log))
    assert isinstance(node, Layered) and node.inner is inner
    assert isinstance(node, Directory)
    await node.mkdir(b"d", 0o755, Caller())
    assert log == [("far", "mkdir", b"d"), ("near", "mkdir", b"d")]


async def test_a_node_of_another_stack_is_exdev() -> None:
    tree, other = Tree(layers.revocable), Tree(layers.revocable)
    await tree.inside.put(b"a")
    await other.inside.put(b"b")
    with refused(errno.EXDEV):
        await tree.root.rename(b"a", other.root, b"a", 0)
    with refused(errno.EXDEV):
        await tree.root.link(b"b", await other.root.walk(b"b"))
    with refused(errno.EXDEV):
        await tree.root.link(b"b", await tree.inner.walk(b"a"))


async def test_a_layer_that_comes_later_holds_for_what_is_open() -> None:
    tree = Tree(layers.revocable)
    await tree.inside.mkdir(b"d")
    fd = await tree.inside.open(b"d/a", os.O_CREAT | os.O_RDWR)
    read_only = ReadOnly()
    tree.stack.add(read_only)
    with refused(errno.EROFS):
        await tree.inside.pwrite(fd, b"x", 0)
    with refused(errno.EROFS):
        await tree.inside.mkdir(b"e")
    tree.stack.remove(read_only)
    await tree.inside.pwrite(fd, b"x", 0)
    directory = await tree.root.walk(b"d")
    tree.stack.add(Hide(["d/"]))
    with refused(errno.EIO):
        await tree.inside.pread(fd, 1, 0)
    assert isinstance(directory, Directory) and directory.known() is None
    with refused(errno.EIO):
        await directory.walk(b"a")
    with refused(errno.ENOENT):
        await tree.root.walk(b"d")
    with pytest.raises(ValueError, match="not in list"):
        tree.stack.remove(read_only)


async def test_after_a_revoke_everything_is_eio_and_closing_still_closes() -> None:
    tree = Tree(layers.revocable)
    fd = await tree.inside.open(b"a", os.O_CREAT | os.O_RDWR)
    node = await tree.root.walk(b"a")
    tree.stack.revoke()
    assert node.known() is None
    for work in (
        node.stat,
        node.listxattr,
        tree.root.readdir,
        lambda: tree.root.walk(b"a"),
        lambda: tree.inside.pread(fd, 1, 0),
        lambda: tree.inside.fsync(fd),
        lambda: tree.root.mkdir(b"d", 0o755, Caller()),
    ):
        with refused(errno.EIO):
            await work()
    await tree.inside.close(fd)


async def test_what_was_made_from_a_revoked_stack_dies_with_it() -> None:
    inner = memory_tree()
    first = layers.revocable(inner)
    second = layers.hide(first, ["x"])
    third = layers.read_only(second)
    stack = stack_of(second)
    assert stack is not None and stack.holds(third) and not stack.holds(first)
    stack.revoke()
    await first.stat()
    for node in (second, third):
        with refused(errno.EIO):
            await node.stat()


async def test_layers_added_to_a_stack_hold_in_what_was_made_from_it() -> None:
    first = layers.revocable(memory_tree())
    second = layers.hide(first, ["x"])
    stack = stack_of(first)
    assert stack is not None and isinstance(second, Directory)
    stack.add(ReadOnly())
    with refused(errno.EROFS):
        await second.mkdir(b"d", 0o755, Caller())


async def test_a_file_alone_can_be_layered() -> None:
    inner = memory_tree()
    node, handle = await inner.create(b"f", 0o644, os.O_RDWR, Caller(0, *APP))
    await handle.write(0, b"text")
    alone = layers.read_only(layers.hide(node, ["*"]))
    assert isinstance(alone, File)
    assert await (await alone.open(os.O_RDONLY, Caller())).read(0, 9) == b"text"
    with refused(errno.EROFS):
        await alone.open(os.O_WRONLY, Caller())


async def test_layers_over_a_union_and_in_one() -> None:
    first, second = Tree(layers.revocable), Tree(lambda node: layers.hide(node, ["*.pem"]))
    await first.inside.mkdir(b"d")
    await second.outside.put(b"a.pem")
    await second.outside.put(b"b")
    union = Union([Element(first.root), Element(second.root, creatable=True)])
    root = layers.hide(union, ["c"])
    files = Calls(NodeFiles(root))  # type: ignore[arg-type]
    assert sorted(await files.listdir(b"")) == [b"b", b"d"]
    await files.put(b"new", b"text")
    assert await second.outside.get(b"new") == b"text"
    await files.rename(b"new", b"newer", 0)
    with refused(errno.EXDEV):
        await files.rename(b"newer", b"d/newer", 0)
    for name in (b"c", b"x.pem"):
        with refused(errno.EACCES):
            await files.put(name)
    await files.mkdir(b"e")
    await files.rename(b"newer", b"e/newest", 0)
    assert await second.outside.get(b"e/newest") == b"text"
    await files.rename(b"e/newest", b"back", 0)
    assert await files.get(b"back") == b"text"


async def test_what_is_at_hand_is_wrapped_and_never_hidden() -> None:
    class AtHand(Directory):
        """Knows its names without looking."""

        def __init__(self, inner: Directory) -> None:
            self.nodes = {b"a": inner, b"x": inner}

        def at_hand(self) -> Any:
            return self.nodes.get

    inner = memory_tree()
    root = layers.hide(AtHand(inner), ["x"])
    assert isinstance(root, Directory)
    node = root.at_hand()(b"a")
    assert isinstance(node, Layered) and node.inner is inner and node.path() == b"a"
    assert root.at_hand()(b"x") is None and root.at_hand()(b"nothing") is None
    seen = layers.audited(root, lambda call, error, size: None)
    assert isinstance(seen, Directory) and seen.at_hand()(b"a") is None  # the audit must see a walk
    stack = stack_of(root)
    assert stack is not None
    stack.revoke()
    assert root.at_hand()(b"a") is None
