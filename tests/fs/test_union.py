"""Unions: which element answers, where things are made, and what crosses elements."""

from __future__ import annotations

import errno
import os

import pytest
from conformance.files import Calls, NodeFiles, refused
from mounting import mounted

from libos.fs.memory import memory_tree
from libos.fs.node import APP, Attributes, Caller, Directory, Node, refusal
from libos.fs.union import Element, Union


class Broken(Directory):
    """A directory whose server is gone."""

    def known(self) -> Attributes:
        return Attributes(0o40555, 0, 2, *APP)

    async def walk(self, name: bytes) -> Node:
        raise refusal(errno.EIO)

    async def readdir(self) -> list[bytes]:
        raise refusal(errno.EIO)


async def tree(*paths: bytes) -> Directory:
    """A tree in memory: "a/b" is a directory with a file that holds its path."""
    root = memory_tree()
    files = Calls(NodeFiles(root))
    for path in paths:
        if b"/" in path and path.split(b"/")[0] not in await root.readdir():
            await files.mkdir(path.split(b"/")[0], 0o755)
        await files.put(path, path)
    return root


async def test_the_first_element_with_the_first_name_wins_and_nothing_below_merges() -> None:
    first, second = await tree(b"x", b"d/one"), await tree(b"x", b"y", b"d/two")
    files = Calls(NodeFiles(Union([Element(first), Element(second)])))
    assert await files.get(b"x") == b"x"
    assert await files.get(b"y") == b"y"
    assert await files.listdir(b"d") == [b"one"]
    with refused(errno.ENOENT):  # no way back into the second element
        await files.get(b"d/two")


async def test_a_listing_has_each_name_once_or_raw_as_often_as_there_are() -> None:
    elements = [Element(await tree(b"x", b"y")), Element(Broken()), Element(await tree(b"y", b"z"))]
    assert await Union(elements).readdir() == [b"x", b"y", b"z"]
    assert await Union(elements, raw=True).readdir() == [b"x", b"y", b"y", b"z"]


async def test_an_element_that_cannot_be_asked_is_passed_by() -> None:
    union = Union([Element(Broken()), Element(await tree(b"x"))])
    await union.walk(b"x")
    with refused(errno.EIO):  # nobody else has it, so the answer is the broken one's
        await union.walk(b"y")


async def test_what_is_made_goes_to_the_first_creatable_element_and_stays_there() -> None:
    first, second, third = await tree(b"x"), await tree(), await tree()
    union = Union([Element(first), Element(second, creatable=True), Element(third, creatable=True)])
    files = Calls(NodeFiles(union))
    await files.put(b"new", b"1")
    await files.mkdir(b"dir", 0o755)
    await files.symlink(b"x", b"link")
    await files.mknod(b"fifo", 0o010644)
    assert set(await second.readdir()) == {b"new", b"dir", b"link", b"fifo"}
    assert await third.readdir() == []
    await files.put(b"x", b"changed")  # it is there already: opened where it is
    assert await Calls(NodeFiles(first)).get(b"x") == b"changed"


async def test_creating_what_any_element_has_opens_it_there_and_exclusively_is_eexist() -> None:
    first, second = await tree(), await tree(b"x", b"d/f")
    union = Union([Element(first, creatable=True), Element(second)])
    node, handle = await union.create(b"x", 0o644, os.O_RDWR | os.O_TRUNC, Caller())
    assert node is await second.walk(b"x")
    await handle.close()
    assert (await node.stat()).size == 0
    with refused(errno.EEXIST):
        await union.create(b"x", 0o644, os.O_RDWR | os.O_EXCL, Caller())
    with refused(errno.EEXIST):
        await union.create(b"d", 0o644, os.O_RDWR, Caller())


async def test_where_no_element_is_creatable_nothing_is_made() -> None:
    union = Union([Element(await tree(b"x")), Element(await tree())])
    files = Calls(NodeFiles(union))
    for making in (
        files.put(b"n"),
        files.mkdir(b"n", 0o755),
        files.symlink(b"x", b"n"),
        files.link(b"x", b"n"),
    ):
        with refused(errno.EROFS):
            await making
    with refused(errno.EROFS):
        await Union().mkdir(b"n", 0o755, Caller())
    assert await Union().readdir() == []


async def test_the_creating_element_that_refuses_is_the_answer() -> None:
    full = memory_tree(limit_nodes=1)
    union = Union([Element(full, creatable=True), Element(await tree(), creatable=True)])
    with refused(errno.ENOSPC):
        await union.mkdir(b"n", 0o755, Caller())


async def test_removing_and_renaming_act_where_the_name_was_found() -> None:
    first, second = await tree(b"x"), await tree(b"x", b"y")
    files = Calls(NodeFiles(Union([Element(first, creatable=True), Element(second)])))
    await files.unlink(b"x")
    assert await first.readdir() == []
    await files.rename(b"x", b"z")  # now the second's
    assert sorted(await second.readdir()) == [b"y", b"z"]
    assert await first.readdir() == []


async def test_a_rename_between_elements_is_exdev() -> None:
    first, second = await tree(b"x"), await tree(b"y", b"d/f")
    files = Calls(NodeFiles(Union([Element(first, creatable=True), Element(second)])))
    for old, new in ((b"x", b"y"), (b"y", b"x"), (b"x", b"d/x"), (b"d/f", b"f"), (b"d/f", b"x")):
        with refused(errno.EXDEV):
            await files.rename(old, new)
    with refused(errno.EEXIST):
        await files.rename(b"x", b"y", 1)
    with refused(errno.EXDEV):
        await files.rename(b"x", b"y", 2)
    with refused(errno.EXDEV):
        await files.link(b"y", b"new")


async def test_a_rename_or_link_out_of_an_elements_subdirectory_lands_in_that_element() -> None:
    first, second = await tree(), await tree(b"d/f", b"d/g", b"h")
    union = Union([Element(first, creatable=True), Element(second, creatable=True)])
    files = Calls(NodeFiles(union))
    await files.rename(b"d/f", b"f")
    await files.link(b"d/g", b"g")
    await files.rename(b"d/g", b"h")  # replaces the second's own
    assert sorted(await second.readdir()) == [b"d", b"f", b"g", b"h"]
    assert await first.readdir() == []


async def test_a_union_of_a_union_hands_the_question_on() -> None:
    inner = Union([Element(await tree(b"d/f"), creatable=True)])
    files = Calls(NodeFiles(Union([Element(await tree()), Element(inner, creatable=True)])))
    await files.rename(b"d/f", b"f")
    assert await files.get(b"f") == b"d/f"


async def test_an_element_that_the_app_may_not_write_keeps_its_names() -> None:
    other = memory_tree(mode=0o555)
    writer = memory_tree()
    await other.create(b"x", 0o644, os.O_RDWR, Caller())
    files = Calls(NodeFiles(Union([Element(writer, creatable=True), Element(other)])))
    for changing in (files.unlink(b"x"), files.rename(b"x", b"y")):
        with refused(errno.EACCES):
            await changing


async def test_elements_come_and_go_and_changes_are_passed_on_while_they_are_in() -> None:
    class Watched(Directory):
        async def readdir(self) -> list[bytes]:
            return []

        def watch(self, changed: object) -> None:
            self.changed = changed

    heard: list[tuple[bytes, bool]] = []
    union = Union()
    union.watch(lambda path, gone: heard.append((path, gone)))
    watched = Watched()
    element = Element(watched)
    union.add(element, first=True)
    watched.changed(b"a/b", True)  # type: ignore[operator]
    union.remove_element(element)
    watched.changed(b"a/b", True)  # type: ignore[operator]
    assert heard == [(b"", False), (b"a/b", True), (b"", False)]
    with pytest.raises(ValueError):
        union.remove_element(element)


async def test_a_program_sees_an_element_that_comes_and_goes() -> None:
    low, high = await tree(b"x", b"low"), await tree(b"x", b"high")
    union = Union([Element(low)])
    async with mounted({"w": union}) as mount:

        async def names() -> list[bytes]:
            return (await mount.run("ls", "w")).out.split()

        assert await names() == [b"low", b"x"]
        element = Element(high, creatable=True)
        union.add(element, first=True)
        assert await names() == [b"high", b"low", b"x"]
        assert (await mount.run("sh", "-c", "echo new > w/new; cat w/x w/new")).out == b"xnew\n"
        assert await high.readdir() == [b"x", b"high", b"new"]
        union.remove_element(element)
        assert await names() == [b"low", b"x"]
        assert (await mount.run("sh", "-c", "mkdir w/n")).err.endswith(b"Read-only file system\n")
        assert mount.faults == []
