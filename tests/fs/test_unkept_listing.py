"""Listings that the kernel does not keep, and the rules of what it may."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pyfuse3
import pytest
import trio
from mounting import mounted
from talking import start

from libos.fs import directory_flags, host_nodes, kept_listing
from libos.fs.directory_flags import CACHE_READDIR, KEEP_CACHE
from libos.fs.host import HostDirectory, HostTree
from libos.fs.host_nodes import KEPT_NAMES
from libos.fs.inodes import Inode
from libos.fs.layers.auditing import Audited
from libos.fs.layers.hiding import Hide
from libos.fs.layers.layer import Layer
from libos.fs.layers.readonly import ReadOnly
from libos.fs.layers.stack import Stack
from libos.fs.node import CHANGING, STATIC, Caller, Directory, Node
from libos.fs.union import Element, Union
from libos.fs.worlds import Attachment, Open

pytest_plugins = ["kept_listings"]


def layered(tree: Directory, *layers: Layer) -> Node:
    return Stack(layers).wrap(tree)


@pytest.mark.parametrize(
    ("over", "times"),
    [
        (lambda tree: layered(tree, ReadOnly()), 1),
        (lambda tree: layered(tree, Hide(["nothing"])), 3),
        (lambda tree: layered(tree, Audited(lambda *_, **__: None)), 3),
        (lambda tree: Union([Element(tree)]), 3),
    ],
    ids=["read-only", "hide", "audited", "union"],
)
async def test_only_a_tree_whose_listings_nobody_has_to_see_is_kept(
    over: Callable[[Directory], Node], times: int, tree: HostTree, asked: list[object]
) -> None:
    async with mounted({"w": over(tree)}) as mount:
        for _ in range(3):
            assert (await mount.run("ls", "w")).out == b"a\nd\n"
        assert asked == [tree] * times


async def test_a_layer_that_comes_later_is_seen(tree: HostTree) -> None:
    stack = Stack()
    async with mounted({"w": stack.wrap(tree)}) as mount:
        talk = await start(
            mount, 'held = os.open("w/d", os.O_RDONLY)\nwhile True: tell(names("w/d"), names(held)); turn()'
        )
        assert await talk.hears() == await talk.goes_on() == "bc bc"
        stack.add(Hide(["b"]))
        mount.attachments["w"].forget(stack.holds)
        await mount.attachments["w"].settle()
        assert await talk.goes_on() == "c c"
        await talk.program.stdin.aclose()


async def test_a_listing_that_lacks_a_name_is_not_kept(
    tree: HostTree, asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = HostDirectory.walk
    failing = [True]

    async def busy(self: HostDirectory, name: bytes) -> Node:
        if name == b"c" and failing:
            raise OSError(23, "too many")
        return await walk(self, name)

    monkeypatch.setattr(HostDirectory, "walk", busy)
    async with mounted({"w": tree}) as mount:
        for _ in range(2):
            assert (await mount.run("ls", "w/d")).out == b"b\n"
        failing.clear()
        assert (await mount.run("ls", "w/d")).out == b"b\nc\n"


async def test_a_directory_that_changed_lately_is_asked_for(
    tree: HostTree, asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_nodes, "QUIET_AGE", 10**18)
    async with mounted({"w": tree}) as mount:
        for _ in range(3):
            assert (await mount.run("ls", "w/d")).out == b"b\nc\n"
        assert len(asked) == 3


class Names(Directory):
    """A directory that is in the state that it is told."""

    cache = STATIC
    state: object = 1

    def same_names(self) -> object:
        return self.state


def inode_of(directory: Directory) -> Inode[Attachment | None]:
    return Inode(7, directory, None, None, b"")


def test_a_copy_is_kept_while_nothing_changes() -> None:
    directory = Names()
    inode = inode_of(directory)
    assert kept_listing.opens(Open(inode, None, 0)) == CACHE_READDIR
    assert kept_listing.opens(Open(inode, None, 0)) == CACHE_READDIR | KEEP_CACHE
    directory.state = None
    assert kept_listing.opens(Open(inode, None, 0)) == 0


def test_no_copy_is_begun_while_another_state_may_be_added_to_it() -> None:
    directory = Names()
    inode = inode_of(directory)
    old, idle = Open(inode, None, 0), Open(inode, None, 0)
    for opened in (old, idle):
        kept_listing.opens(opened)
    kept_listing.begins(old)
    directory.state = 2
    assert kept_listing.opens(Open(inode, None, 0)) == 0
    directory.state = 1  # it cannot come back; were it so, what the kernel has is not known any more
    assert kept_listing.opens(Open(inode, None, 0)) == CACHE_READDIR
    directory.state = 2
    kept_listing.ends(old)
    assert kept_listing.opens(Open(inode, None, 0)) == CACHE_READDIR
    kept_listing.begins(idle)
    assert kept_listing.opens(Open(inode, None, 0)) == CACHE_READDIR | KEEP_CACHE


def test_a_listing_of_another_state_voids_the_copy() -> None:
    directory = Names()
    inode = inode_of(directory)
    opened = Open(inode, None, 0)
    kept_listing.opens(opened)
    directory.state = 2
    kept_listing.begins(opened)
    directory.state = 1
    kept_listing.ends(opened)
    assert kept_listing.opens(Open(inode, None, 0)) == CACHE_READDIR


def test_a_copy_is_renewed_before_what_it_told_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(kept_listing, "time", SimpleNamespace(monotonic=lambda: now[0]))
    directory = Names()
    directory.cache = KEPT_NAMES
    inode = inode_of(directory)
    half = KEPT_NAMES.entry / 2
    assert kept_listing.opens(Open(inode, None, 0)) == CACHE_READDIR
    now[0] += half - 0.5
    assert kept_listing.opens(Open(inode, None, 0)) == CACHE_READDIR | KEEP_CACHE
    now[0] += 0.5
    assert kept_listing.opens(Open(inode, None, 0)) == CACHE_READDIR
    directory.cache = CHANGING
    assert kept_listing.opens(Open(inode, None, 0)) == 0


async def test_names_that_come_or_go_are_another_state(folder: Path, tree: HostTree) -> None:
    tree.watch(lambda path, gone: None)
    directory = await tree.walk(b"d")
    assert isinstance(directory, HostDirectory)
    states: list[object] = []

    def differs() -> bool:
        """Whether the names are another state than each before."""
        directory.show(os.fstat(directory.fd()))
        states.append(directory.same_names())
        assert states[-1] is not None
        return states[-1] not in states[:-1]

    assert differs()
    await directory.readdir()
    for name in (b"b", b"c"):
        (await directory.walk(name)).known()
    assert not differs()  # looking changes nothing
    (folder / "d" / "n").touch()
    tree.tree.watches.drain()
    assert differs()
    (folder / "d" / "n").write_text("a change of what a name leads to is none of the names")
    tree.tree.watches.drain()
    assert not differs()
    await directory.remove(b"n", directory=False)
    assert differs()
    await directory.mkdir(b"s", 0o755, Caller())
    assert differs()
    await directory.rename(b"s", tree, b"s", 0)
    assert differs()


async def test_without_the_bits_each_listing_is_asked_for(
    tree: HostTree, asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    function = pyfuse3.fuse_opendir_async  # type: ignore[attr-defined]
    plain = getattr(function, "_first", function)
    monkeypatch.setattr(pyfuse3, "fuse_opendir_async", plain, raising=False)
    monkeypatch.setattr(directory_flags, "_as_expected", lambda kind: False)
    async with mounted({"w": tree}) as mount:
        for _ in range(3):
            assert (await mount.run("ls", "w/d")).out == b"b\nc\n"
        assert len(asked) == 3 and pyfuse3.fuse_opendir_async is plain  # type: ignore[attr-defined]


def test_memory_that_is_not_as_expected_stays_as_it_is() -> None:
    container = pyfuse3._Container()  # type: ignore[attr-defined]
    request = directory_flags.Request(container)
    head = object.__basicsize__
    fields = ctypes.c_char * (type(container).__basicsize__ - head)
    memory = fields.from_address(id(container) + head)
    assert bytes(memory) == bytes(len(memory))
    assert not request.set(KEEP_CACHE, 7)  # no inode of this number
    assert bytes(memory) == bytes(len(memory))
    for offset in (12, 16, 24):  # bits, padding and handle are set already
        memory[offset] = b"\x10"
        before = bytes(memory)
        assert not request.set(KEEP_CACHE, 0)
        assert bytes(memory) == before
        memory[offset] = b"\0"
    assert request.set(KEEP_CACHE, 0)
    assert [at for at, byte in enumerate(bytes(memory)) if byte] == [12]


@pytest.mark.parametrize("kind", [None, object(), object, int, list, dict, str])
def test_another_kind_of_container_is_not_touched(kind: object) -> None:
    def first(container: object) -> None:
        """What pyfuse3 would call."""

    module = SimpleNamespace(fuse_opendir_async=first, _Container=kind)
    directory_flags.stand_before(module)  # type: ignore[arg-type]
    assert module.fuse_opendir_async is first
    directory_flags.stand_before(SimpleNamespace())  # type: ignore[arg-type]


async def test_a_container_of_another_kind_is_passed_on() -> None:
    taken: list[object] = []
    module = SimpleNamespace(fuse_opendir_async=taken.append, _Container=pyfuse3._Container)  # type: ignore[attr-defined]
    directory_flags.stand_before(module)  # type: ignore[arg-type]
    once = module.fuse_opendir_async
    directory_flags.stand_before(module)  # type: ignore[arg-type]
    assert module.fuse_opendir_async is once
    once("something else")
    assert taken == ["something else"] and directory_flags.taken() is None
    container = pyfuse3._Container()  # type: ignore[attr-defined]
    once(container)
    assert taken[1:] == [container] and directory_flags.taken() is not None
    assert directory_flags.taken() is None
    await trio.lowlevel.checkpoint()
