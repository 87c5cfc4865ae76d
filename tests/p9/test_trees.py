"""A tree over a stream: the client's nodes give what the server's have; a peer that errs harms nobody."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing
from mounting import mounted

from libos.fs.memory import memory_tree
from libos.fs.node import Caller, Change, Directory, File, ReportedError, Symlink
from libos.fs.p9 import messages as p9
from libos.fs.p9.codec import encode
from libos.fs.p9.messages import Message, Qid
from libos.fs.p9.remote import attached
from libos.fs.p9.server import serve

CALLER = Caller(uid=1000, gid=1000)
BIG = bytes(range(256)) * 1000


def refused(number: int) -> AbstractContextManager[object]:
    return pytest.raises(OSError, check=lambda error: error.errno == number)


async def filled() -> Directory:
    root = memory_tree()
    _, handle = await root.create(b"big", 0o4755, os.O_RDWR, CALLER)
    await handle.write(0, BIG)
    # Before 1970, which the protocol cannot say.
    await (await root.walk(b"big")).setattr(Change(mtime=-5))
    below = await root.mkdir(b"below", 0o755, CALLER)
    assert isinstance(below, Directory)
    for number in range(3000):
        await below.mknod(b"%0200d" % number, 0o644, 0, CALLER)
    await root.symlink(b"link", b"below", CALLER)
    return root


@asynccontextmanager
async def over_a_socket(root: Directory, path: Path) -> AsyncIterator[tuple[Directory, trio.CancelScope]]:
    """The client's root, and the scope whose cancel ends the server as its death would."""
    with trio.socket.socket(trio.socket.AF_UNIX) as listening:
        await listening.bind(str(path))
        listening.listen()
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()

            async def serving() -> None:
                connection, _ = await listening.accept()
                with scope:
                    assert await serve(root, trio.SocketStream(connection)) is None

            nursery.start_soon(serving)
            async with await trio.open_unix_socket(path) as stream:
                yield await attached(stream), scope
            scope.cancel()


async def test_a_tree_is_read_whole_and_ends_with_its_server(tmp_path: Path) -> None:
    async with over_a_socket(await filled(), tmp_path / "9p") as (root, server):
        assert sorted(await root.readdir()) == [b"below", b"big", b"link"]
        big, below, link = [await root.walk(name) for name in (b"big", b"below", b"link")]
        assert isinstance(big, File)
        assert isinstance(below, Directory)
        assert isinstance(link, Symlink)
        assert await root.walk(b"big") is big
        got = await big.stat()
        assert (got.mode, got.size, got.mtime) == (0o100555, len(BIG), 0)
        handle = await big.open(os.O_RDONLY, CALLER)
        assert await handle.read(1, 1 << 20) == BIG[1:]
        assert sorted(await below.readdir()) == [b"%0200d" % number for number in range(3000)]
        assert await link.readlink() == b"below"
        with refused(errno.EROFS):
            await big.open(os.O_RDWR, CALLER)
        with refused(errno.ENOENT):
            await root.walk(b"no")
        server.cancel()
        with pytest.raises(ReportedError, match="server is gone"):
            await big.stat()
        with refused(errno.EIO):
            await handle.read(0, 1)


async def test_programs_read_a_mounted_tree_until_its_server_is_gone(tmp_path: Path) -> None:
    other = memory_tree()
    await other.mkdir(b"here", 0o755, CALLER)
    async with (
        over_a_socket(await filled(), tmp_path / "9p") as (root, server),
        mounted({"far": root, "near": other}) as mount,
    ):
        assert (await mount.run("cat", "far/big")).out == BIG
        assert len((await mount.run("ls", "far/link/")).out.split()) == 3000
        refusal = await mount.run("touch", "far/below/new")
        assert refusal.status == 1
        assert mount.faults == []
        server.cancel()
        gone = await mount.run("cat", "far/big")
        assert (gone.status, b"Input/output error" in gone.err) == (1, True)
        assert (await mount.run("cat", "far/big")).status == 1
        assert (await mount.run("ls", "near")).out == b"here\n"
        assert len(mount.faults) == 1


class Faulty(Directory):
    """A root that can be stated only."""

    async def readdir(self) -> list[bytes]:
        raise KeyError("a mistake")


async def test_a_fault_of_a_node_is_eio_and_the_connection_goes_on(tmp_path: Path) -> None:
    async with over_a_socket(Faulty(), tmp_path / "9p") as (root, _):
        with refused(errno.EIO):
            await root.readdir()
        with refused(errno.ENOENT):
            await root.walk(b"any")


async def hostile(*replies: bytes) -> Directory:
    """The root of a server that says exactly this, then nothing."""
    ours, theirs = trio.testing.memory_stream_pair()
    for reply in replies:
        await theirs.send_all(reply)
    await theirs.send_stream.aclose()
    return await attached(ours)


HELLO = encode(p9.NO_TAG, Message(p9.RVERSION, (65536, p9.VERSION)))
ROOT = encode(0, Message(p9.RATTACH, (Qid(0x80, 0, 1),)))


@pytest.mark.parametrize(
    ("replies", "why"),
    [
        ([HELLO[:9]], "ends after 9 bytes"),
        ([struct.pack("<I", 0xFFFFFFFF)], "frame of 4294967295"),
        ([encode(p9.NO_TAG, Message(p9.RVERSION, (1, p9.VERSION)))], "frames of 1 bytes"),
        ([encode(p9.NO_TAG, Message(p9.RVERSION, (65536, b"unknown")))], "speaks b'unknown'"),
        ([HELLO, encode(7, Message(p9.RATTACH, (Qid(0x80, 0, 1),)))], "tag 7"),
        ([HELLO, encode(0, Message(p9.RCLUNK, ()))], "with 121"),
        ([HELLO, encode(0, Message(p9.RATTACH, (Qid(0, 0, 1),)))], "root is not a directory"),
    ],
)
async def test_a_server_that_lies_is_left_with_a_reason(replies: list[bytes], why: str) -> None:
    with pytest.raises(ReportedError, match=why) as caught:
        await hostile(*replies)
    assert caught.value.errno == errno.EIO


async def test_a_silent_server_is_left_at_the_deadline(autojump_clock: object) -> None:
    ours, _theirs = trio.testing.memory_stream_pair()
    with pytest.raises(ReportedError, match="silent for 10 s"):
        await attached(ours)


async def test_a_cancelled_request_harms_no_later_one(autojump_clock: object) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(HELLO + ROOT)
    root = await attached(ours)
    with trio.move_on_after(1):
        await root.stat()
    late = encode(1, Message(p9.RLERROR, (errno.EACCES,)))
    await theirs.send_all(late + encode(2, Message(p9.RLERROR, (errno.EPERM,))))
    with refused(errno.EPERM):
        await root.stat()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"\xff\xff\xff\xff", "frame of 4294967295"),
        (b"\x0b\0\0\0", "ends after 4 bytes"),
        (HELLO, "is a reply"),
        (encode(1, Message(p9.TWALK, (0, 1, (b"..",)))), "not a name"),
    ],
)
async def test_a_client_that_errs_is_left_with_a_reason(said: bytes, why: str) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(said)
    await theirs.send_stream.aclose()
    assert why in str(await serve(memory_tree(), ours))
