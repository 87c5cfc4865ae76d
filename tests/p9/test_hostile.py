"""A file server that lies, falls silent or goes: each use is one errno with a reason, and never more."""

from __future__ import annotations

import errno
import itertools
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from libos.fs.memory import memory_tree
from libos.fs.node import Caller, Directory, File, ReportedError, Symlink
from libos.fs.p9 import messages as p9
from libos.fs.p9.client import CLUNKS_OWED
from libos.fs.p9.codec import decode, encode, entry
from libos.fs.p9.exporting import CLIENTS, export
from libos.fs.p9.frames import Frames
from libos.fs.p9.messages import Message, Qid
from libos.fs.p9.mounting import REDIAL, mounted
from libos.fs.p9.remote import attached

CALLER = Caller(uid=1000, gid=1000)
DIRECTORY = Qid(0x80, 0, 1)
# What a reply to Tgetattr has: a mode, one link, no owner, a size.
Answer = Callable[[tuple[object, ...]], Message | bytes | None]


def eio() -> AbstractContextManager[object]:
    return pytest.raises(OSError, check=lambda error: error.errno == errno.EIO)


def attributes(mode: int, size: int = 0) -> Message:
    return Message(p9.RGETATTR, (p9.BASIC, DIRECTORY, mode, 0, 0, 1, 0, size, 0, 0, *[0] * 10))


HONEST: dict[int, Answer] = {
    p9.TVERSION: lambda _: Message(p9.RVERSION, (65536, p9.VERSION)),
    p9.TATTACH: lambda _: Message(p9.RATTACH, (DIRECTORY,)),
    p9.TCLUNK: lambda _: Message(p9.RCLUNK, ()),
    p9.TWALK: lambda fields: Message(p9.RWALK, ((Qid(0, 0, 7),) * len(fields[2]),)),  # type: ignore[arg-type]
    p9.TGETATTR: lambda _: attributes(0o100644, 5),
    p9.TLOPEN: lambda _: Message(p9.RLOPEN, (DIRECTORY, 0)),
}


@asynccontextmanager
async def answering(**lies: Answer) -> AsyncIterator[Directory]:
    """The root of a server that answers as HONEST does, but for `lies`, by the name of the request. Bytes are
    sent as they are; None is no answer."""
    said = HONEST | {getattr(p9, kind): answer for kind, answer in lies.items()}
    ours, theirs = trio.testing.memory_stream_pair()

    async def speak() -> None:
        frames = Frames(theirs)
        while frame := await frames.next():
            tag, message = decode(frame)
            reply = said[message.kind](message.fields)
            if reply is not None:
                with suppress(trio.BrokenResourceError):
                    await theirs.send_all(reply if isinstance(reply, bytes) else encode(tag, reply))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(speak)
        async with ours:
            yield await attached(ours, writable=True)


def names(*found: bytes, at: int = 1) -> Answer:
    """A listing that gives these names whatever is asked."""
    data = b"".join(entry(Qid(0, 0, 0), at, 0, name) for name in found)
    return lambda _: Message(p9.RREADDIR, (data,))


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        (names(b"a/b"), "not a name"),
        (names(b"\0"), "NUL in a string"),
        (names(b"a"), "does not end"),
        (lambda _: Message(p9.RREADDIR, (b"\xff" * 7,)), "are said to follow"),
    ],
)
async def test_a_listing_that_lies(lie: Answer, why: str) -> None:
    async with answering(TREADDIR=lie) as root:
        with pytest.raises(ReportedError, match=why) as caught:
            await root.readdir()
        assert caught.value.errno == errno.EIO
        assert isinstance(await root.walk(b"file"), File)  # the connection goes on


async def test_an_endless_listing_ends() -> None:
    offsets = iter(range(1, 1 << 30))

    def more(_: tuple[object, ...]) -> Message:
        first = next(offsets)
        rows = [entry(Qid(0, 0, 0), at, 0, b"%d" % at) for at in range(first * 1000, first * 1000 + 1000)]
        return Message(p9.RREADDIR, (b"".join(rows),))

    async with answering(TREADDIR=more) as root:
        with pytest.raises(ReportedError, match="does not end"):
            await root.readdir()


@pytest.mark.parametrize(
    ("qids", "mode", "why"),
    [
        ((), 0o100644, "to no file or to many"),
        ((Qid(0, 0, 7), Qid(0, 0, 8)), 0o100644, "to no file or to many"),
        ((Qid(0x80, 0, 7),), 0o100644, "of kind 0x80 and of mode 100000"),
        ((Qid(0x02, 0, 7),), 0o040755, "of kind 0x2 and of mode 40000"),
    ],
)
async def test_a_walk_that_lies(qids: tuple[Qid, ...], mode: int, why: str) -> None:
    async with answering(
        TWALK=lambda _: Message(p9.RWALK, (qids,)), TGETATTR=lambda _: attributes(mode)
    ) as root:
        with pytest.raises(ReportedError, match=why):
            await root.walk(b"file")


async def test_what_is_said_of_a_file_is_bounded() -> None:
    told = iter([attributes(0o106755), attributes(0o40755), attributes(0o100644, 1 << 63)])
    async with answering(TGETATTR=lambda _: next(told)) as root:
        file = await root.walk(b"file")
        for _ in range(2):
            with pytest.raises(ReportedError, match="a file of mode"):
                await file.stat()
    async with answering(TGETATTR=lambda _: attributes(0o106755)) as root:
        found = await (await root.walk(b"file")).stat()
        assert (found.mode, found.uid) == (0o100755, 1000)
    async with answering(TGETATTR=lambda _: attributes(0o060666)) as root:
        with pytest.raises(PermissionError):
            await root.walk(b"disk")


async def test_reads_and_writes_that_lie() -> None:
    async with answering(
        TREAD=lambda _: Message(p9.RREAD, (b"x" * 10,)), TWRITE=lambda _: Message(p9.RWRITE, (9,))
    ) as root:
        file = await root.walk(b"file")
        assert isinstance(file, File)
        handle = await file.open(os.O_RDWR, CALLER)
        with pytest.raises(ReportedError, match="more bytes than were asked for"):
            await handle.read(0, 5)
        with pytest.raises(ReportedError, match="9 of 5 bytes"):
            await handle.write(0, b"12345")


async def test_a_link_that_leads_nowhere() -> None:
    async with answering(
        TWALK=lambda _: Message(p9.RWALK, ((Qid(2, 0, 7),),)),
        TGETATTR=lambda _: attributes(0o120777),
        TREADLINK=lambda _: Message(p9.RREADLINK, (b"",)),
    ) as root:
        link = await root.walk(b"link")
        assert isinstance(link, Symlink)
        with pytest.raises(ReportedError, match="without a target"):
            await link.readlink()


async def test_a_slow_request_holds_up_no_other_and_one_given_up_harms_nobody(autojump_clock: object) -> None:
    """One read is never answered; others go on, more than one waits, and all come to their own replies."""
    async with answering(TREAD=lambda _: None) as root:
        file = await root.walk(b"file")
        assert isinstance(file, File)
        handle = await file.open(os.O_RDONLY, CALLER)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(handle.read, 0, 1)
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(3):
                await trio.sleep(6)  # less than the deadline: somebody hears of the server meanwhile
                assert (await file.stat()).size == 5
            nursery.cancel_scope.cancel()
        assert (await file.stat()).size == 5
        with pytest.raises(ReportedError, match="silent for 10 s"):
            await handle.read(0, 1)
        with eio():
            await file.stat()


async def test_replies_that_are_owed_are_bounded() -> None:
    async with answering(TREAD=lambda _: None) as root:
        file = await root.walk(b"file")
        assert isinstance(file, File)
        handle = await file.open(os.O_RDONLY, CALLER)
        for _ in range(65):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(handle.read, 0, 1)
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
        with pytest.raises(ReportedError, match="owes more than 64"):
            await handle.read(0, 1)


@pytest.mark.parametrize(("answers", "told"), [(True, 199), (False, CLUNKS_OWED)])
async def test_what_is_let_go_of_goes_along_and_nobody_waits_for_it(answers: bool, told: int) -> None:
    numbers = itertools.count(7)
    gone: list[object] = []

    def clunk(fields: tuple[object, ...]) -> Message | None:
        gone.append(fields[0])
        return Message(p9.RCLUNK, ()) if answers else None

    async with answering(
        TCLUNK=clunk, TWALK=lambda _: Message(p9.RWALK, ((Qid(0, 0, next(numbers)),),))
    ) as root:
        for _ in range(200):
            assert isinstance(await root.walk(b"file"), File)
    assert len(set(gone)) == len(gone) == told


@asynccontextmanager
async def exported(path: Path) -> AsyncIterator[list[str]]:
    """A server at a path, of one file; what its clients did wrong."""
    tree, wrong = memory_tree(), list[str]()
    await tree.mknod(b"file", 0o100644, 0, CALLER)
    with suppress(FileNotFoundError):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(export, tree, listener, on_error=wrong.append))
            yield wrong
            nursery.cancel_scope.cancel()


async def test_a_new_server_serves_under_the_old_root(tmp_path: Path, autojump_clock: object) -> None:
    path = tmp_path / "s"

    async def dial() -> trio.SocketStream:
        return await trio.open_unix_socket(path)

    async with exported(path):
        root = await mounted(dial)
        file = await root.walk(b"file")
        assert isinstance(file, File)
        handle = await file.open(os.O_RDONLY, CALLER)
    with pytest.raises(ReportedError, match="the server is gone: Connection refused"):
        await root.walk(b"file")
    with eio():
        await root.walk(b"file")  # nothing is told twice, nor dialed so soon
    async with exported(path):
        with eio():
            await root.walk(b"file")
        await trio.sleep(REDIAL)
        again = await root.walk(b"file")
        assert again is not file
        assert (await again.stat()).size == 0
        for lost in (file.stat(), handle.read(0, 1)):
            with eio():
                await lost
        root.close()
        await trio.sleep(REDIAL)
        for lost in (again.stat(), root.stat()):
            with eio():
                await lost


async def test_a_clients_mistake_and_too_many_clients_are_told(tmp_path: Path) -> None:
    async with exported(tmp_path / "s") as wrong:
        async with await trio.open_unix_socket(tmp_path / "s") as bad:
            await bad.send_all(b"\xff" * 8)
            assert await bad.receive_some() == b""
        streams = [await trio.open_unix_socket(tmp_path / "s") for _ in range(CLIENTS + 1)]
        assert await streams[-1].receive_some() == b""
        assert isinstance(await (await attached(streams[0])).walk(b"file"), File)
        for stream in streams:
            await stream.aclose()
        assert wrong == ["a frame of 4294967295 bytes", "64 clients are served already"]
