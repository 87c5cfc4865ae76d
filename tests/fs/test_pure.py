"""What needs no kernel: sparse bytes, inode numbers, signal masks, the skeleton, notifications."""

from __future__ import annotations

import errno
import functools
import os

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from libos.fs.inodes import ROOT, Inodes
from libos.fs.node import Caller, Directory, File, Handle, Node, Symlink
from libos.fs.notifications import Notifications
from libos.fs.skeleton import Skeleton, components
from libos.fs.sparse import CHUNK, SparseBytes
from libos.fs.synthetic import data, function, symlink, text
from libos.kernel import pending

# --- sparse bytes

OFFSETS = st.one_of(st.integers(0, 300), st.integers(CHUNK - 100, CHUNK + 100), st.integers(0, 3 * CHUNK))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), OFFSETS, st.binary(max_size=300)),
        st.tuples(st.just("truncate"), OFFSETS, st.just(b"")),
        st.tuples(st.just("read"), OFFSETS, st.binary(max_size=300)),
    ),
    max_size=30,
)


@given(STEPS)
def test_sparse_bytes_are_bytes(steps: list[tuple[str, int, bytes]]) -> None:
    held = 0

    def charge(size: int) -> None:
        nonlocal held
        held += size

    sparse, model = SparseBytes(charge), bytearray()
    for step, offset, content in steps:
        if step == "write" and content:
            model.extend(bytes(max(0, offset - len(model))))
            model[offset : offset + len(content)] = content
            sparse.write(offset, content)
        elif step == "truncate":
            model = model[:offset] + bytes(max(0, offset - len(model)))
            sparse.truncate(offset)
        assert sparse.read(offset, len(content) + 10) == model[offset : offset + len(content) + 10]
        assert sparse.size == len(model)
        assert held == sparse.held <= max(len(model), 0)
    assert sparse.read(0, len(model) + 1) == model


def test_a_write_that_is_not_paid_for_changes_nothing() -> None:
    def refuse(size: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    sparse = SparseBytes(refuse)
    with pytest.raises(OSError, match="full"):
        sparse.write(10, b"x")
    assert (sparse.size, sparse.held, sparse.read(0, 100)) == (0, 0, b"")


# --- inode numbers


def test_numbers_live_while_they_are_looked_up_and_are_never_used_twice() -> None:
    inodes: Inodes[str] = Inodes(Directory(), "")
    node = text("a")
    first = inodes.enter(inodes.root, b"a", node, "w")
    again = inodes.enter(inodes.root, b"b", node, "w")
    assert again is first
    assert first.lookups == 2
    other = inodes.enter(inodes.root, b"a", node, "v")
    assert other is not first
    assert list(inodes.elsewhere(first)) == [other]
    inodes.forget(first.number, 1)
    assert inodes.get(first.number) is first
    inodes.forget(first.number, 1)
    assert inodes.get(first.number) is None
    inodes.forget(first.number, 1)
    inodes.forget(ROOT, 1)
    assert inodes.get(ROOT) is inodes.root
    assert inodes.enter(inodes.root, b"a", node, "w").number > other.number


def test_paths_follow_names() -> None:
    inodes: Inodes[str] = Inodes(Directory(), "")
    top = inodes.enter(inodes.root, b"world", Directory(), "w")
    directory = inodes.enter(top, b"d", Directory(), "w")
    file = inodes.enter(directory, b"a", text("a"), "w")
    assert (top.path(), file.path()) == (b"/", b"/d/a")
    inodes.place(file, top, b"b")
    assert file.path() == b"/b"
    assert inodes.at(top, b"b") is file
    assert inodes.at(top, b"d/a") is None
    assert inodes.at(top, b"") is top
    inodes.drop(file)
    assert inodes.at(top, b"b") is None
    assert len(inodes.of_world("w")) == 2


# --- signals

STATUS = "Name:\tcat\nSigPnd:\t{:016x}\nShdPnd:\t{:016x}\nSigBlk:\t{:016x}\nSigIgn:\t{:016x}\n"


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        ((0, 0, 0, 0), False),
        ((1 << 8, 0, 0, 0), True),
        ((0, 1 << 14, 0, 0), True),
        ((0, 1 << 14, 1 << 14, 0), False),
        ((0, 1 << 14, 0, 1 << 14), False),
        ((1 << 19, 0, 0, 0), False),  # SIGTSTP stops, it does not interrupt
        ((1 << 19 | 1 << 1, 0, 0, 0), True),
    ],
)
def test_which_signals_interrupt(masks: tuple[int, int, int, int], expected: bool) -> None:
    assert pending.deliverable(STATUS.format(*masks).encode()) is expected


def test_threads_that_are_gone_or_unknown_are_not_wanted() -> None:
    assert not pending.wanted(0)
    assert not pending.wanted(1 << 30)
    assert not pending.wanted(os.getpid())


# --- the skeleton


@pytest.mark.parametrize("path", [b"", b"a", b"/a/", b"//", b"/a//b", b"/./a", b"/a/..", b"/a\0b"])
def test_paths_that_are_not_absolute_and_clean_are_refused(path: bytes) -> None:
    with pytest.raises(ValueError, match="clean path"):
        components(path)


def test_a_skeleton_makes_the_directories_on_the_way() -> None:
    root = Skeleton(lambda path: None)
    root.attach(b"/etc/deep/file", text("x"))
    root.placeholder(b"/etc", True)
    root.placeholder(b"/usr/bin", True)
    root.placeholder(b"/usr/bin", True)
    root.placeholder(b"/etc/file", False)
    root.placeholder(b"/", True)
    with pytest.raises(NotADirectoryError):
        root.attach(b"/etc/file/below", text("x"))
    with pytest.raises(FileExistsError):
        root.placeholder(b"/etc/file", True)
    with pytest.raises(ValueError, match="root"):
        root.attach(b"/", text("x"))
    with pytest.raises(FileNotFoundError):
        root.detach(b"/absent")


async def test_a_skeleton_tells_what_changed() -> None:
    told: list[tuple[bytes, bool]] = []
    root = Skeleton(lambda path: None)
    root.watch(lambda path, gone: told.append((path, gone)))
    root.attach(b"/a", text("x"))
    root.attach(b"/a", text("y"))
    root.detach(b"/a")
    assert told == [(b"", False), (b"a", True), (b"a", True)]


# --- synthetic nodes, and what every node refuses by default


async def read(node: Node) -> bytes:
    """All of a file."""
    assert isinstance(node, File)
    handle = await node.open(os.O_RDONLY, Caller())
    return await handle.read(0, 1 << 20)


async def test_synthetic_nodes() -> None:
    assert await read(text("é")) == "é".encode()
    assert await read(data(b"\0\xff")) == b"\0\xff"
    assert await read(function(lambda: b"sync")) == b"sync"

    async def produce() -> str:
        await trio.lowlevel.checkpoint()
        return "async"

    assert await read(function(produce)) == b"async"
    assert await read(function(functools.partial(produce))) == b"async"
    link = symlink("target")
    assert isinstance(link, Symlink)
    assert await link.readlink() == b"target"
    with pytest.raises(TypeError, match="str or bytes"):
        await read(function(lambda: 3))  # type: ignore[arg-type,return-value]
    for target in ("", "x" * 4096, "a\0b"):
        with pytest.raises(ValueError, match="target"):
            symlink(target)
    with pytest.raises(UnicodeEncodeError):
        text("\ud800")


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC])
async def test_synthetic_files_are_not_writable(flags: int) -> None:
    for node in (text("a"), function(lambda: "a")):
        assert isinstance(node, File)
        with pytest.raises(PermissionError):
            await node.open(flags, Caller())


async def test_what_a_node_does_not_have_it_refuses() -> None:
    directory, file, handle, caller = Directory(), File(), Handle(), Caller()
    expected = [
        (lambda: directory.walk(b"a"), errno.ENOENT),
        (directory.readdir, errno.EACCES),
        (lambda: directory.create(b"a", 0, 0, caller), errno.EACCES),
        (lambda: directory.mkdir(b"a", 0, caller), errno.EPERM),
        (lambda: directory.symlink(b"a", b"b", caller), errno.EPERM),
        (lambda: directory.mknod(b"a", 0, 0, caller), errno.EPERM),
        (lambda: directory.link(b"a", file), errno.EPERM),
        (lambda: directory.remove(b"a", directory=False), errno.EPERM),
        (lambda: directory.rename(b"a", directory, b"b", 0), errno.EPERM),
        (lambda: file.open(0, caller), errno.EACCES),
        (file.stat, errno.EACCES),
        (lambda: file.setattr(None), errno.EPERM),  # type: ignore[arg-type]
        (lambda: file.getxattr(b"a"), errno.ENOTSUP),
        (lambda: file.setxattr(b"a", b""), errno.ENOTSUP),
        (lambda: file.removexattr(b"a"), errno.ENOTSUP),
        (Symlink().readlink, errno.EACCES),
        (lambda: handle.read(0, 1), errno.EBADF),
        (lambda: handle.write(0, b"a"), errno.EBADF),
    ]
    for call, number in expected:
        with pytest.raises(OSError) as caught:
            await call()  # type: ignore[no-untyped-call]
        assert caught.value.errno == number
    assert list(await file.listxattr()) == []


# --- notifications


async def test_notifications_go_out_in_order_and_once() -> None:
    sent: list[int] = []
    notifications = Notifications()
    for number in (1, 2, 1, 3):
        notifications.add((number, None), lambda number=number: sent.append(number))  # type: ignore[misc]

    def absent() -> None:
        raise FileNotFoundError

    notifications.add((4, b"x"), absent)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(notifications.send)
        await notifications.flushed()
        nursery.cancel_scope.cancel()
    assert sent == [1, 2, 3]
