"""Channels without a kernel: what passes, in which order, and what is refused."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from libos.fs.channel import NOTHING, Budget, Channel, open_channel
from libos.fs.node import Caller, Change, Handle, ReportedError

PLENTY = Budget(100, 1000)
RANDOM = Budget(100, 1000, random=True)

Make = Callable[..., Channel]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"0123456789")
    return tmp_path / "file"


@pytest.fixture
def channel(file: Path) -> Iterator[Make]:
    """Makes the channel of the file; all are closed in the end."""
    made: list[Channel] = []

    def make(get: Budget = NOTHING, put: Budget = NOTHING) -> Channel:
        made.append(open_channel(str(file), get, put))
        return made[-1]

    yield make
    for each in made:
        each.close()


async def opened(channel: Channel, flags: int = os.O_RDONLY) -> Handle:
    return await channel.open(flags, Caller())


def refused(number: int) -> AbstractContextManager[object]:
    """A context that demands an errno."""
    return pytest.raises(OSError, check=lambda error: error.errno == number)


def content(file: Path) -> bytes:
    return file.read_bytes()


def replace(file: Path) -> None:
    file.rename(file.parent / "old")
    file.write_text("another")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def test_what_is_sequential_passes_once_whoever_asks(channel: Make) -> None:
    made = channel(PLENTY)
    first, second = await opened(made), await opened(made)
    assert not first.seekable
    assert [await first.read(0, 4), await second.read(0, 4), await first.read(4, 9)] == [
        b"0123",
        b"4567",
        b"89",
    ]
    assert await second.read(0, 4) == b""
    assert (made.totals()["gets"], made.totals()["get_size"]) == (4, 10)
    assert made.totals()["get_sha256"] == sha256(b"0123456789")


async def test_what_is_random_passes_from_anywhere_and_has_no_digest(channel: Make) -> None:
    made = channel(RANDOM)
    handle = await opened(made)
    assert handle.seekable
    assert [await handle.read(8, 9), await handle.read(8, 1)] == [b"89", b"8"]
    assert made.totals()["get_sha256"] is None


async def test_puts_are_appended_and_lose_nothing(channel: Make, file: Path) -> None:
    made = channel(put=PLENTY)
    handle = await opened(made, os.O_WRONLY | os.O_TRUNC)
    assert [await handle.write(0, b"ab"), await handle.write(0, b"c")] == [2, 1]
    assert content(file) == b"0123456789abc"
    assert made.totals()["put_sha256"] == sha256(b"abc")
    with refused(errno.EPERM):
        await made.setattr(Change(size=0))


async def test_what_was_put_can_be_got(channel: Make) -> None:
    made = channel(PLENTY, PLENTY)
    handle = await opened(made, os.O_RDWR)
    await handle.write(0, b"ab")
    assert await handle.read(0, 100) == b"0123456789ab"


async def test_the_operations_and_the_bytes_are_limited(channel: Make, file: Path) -> None:
    few = await opened(channel(Budget(2, 1000)))
    assert [await few.read(0, 1), await few.read(0, 1)] == [b"0", b"1"]
    with refused(errno.EDQUOT):
        await few.read(0, 1)
    small = await opened(channel(Budget(100, 4)))
    assert await small.read(0, 100) == b"0123"
    with refused(errno.EDQUOT):
        await small.read(0, 100)
    drain = await opened(channel(put=Budget(100, 3)), os.O_WRONLY)
    assert await drain.write(0, b"abcdef") == 3
    with refused(errno.EDQUOT):
        await drain.write(0, b"d")
    assert content(file) == b"0123456789abc"


async def test_a_budget_of_exactly_the_file_ends_as_a_file_does(channel: Make) -> None:
    handle = await opened(channel(Budget(3, 10)))
    assert [await handle.read(0, 100), await handle.read(0, 100)] == [b"0123456789", b""]


async def test_a_random_put_leaves_no_hole_that_the_budget_does_not_cover(channel: Make, file: Path) -> None:
    handle = await opened(channel(put=Budget(9, 5, random=True)), os.O_WRONLY)
    assert await handle.write(12, b"ab") == 2
    with refused(errno.EFBIG):
        await handle.write(14, b"cd")
    assert await handle.write(0, b"x") == 1
    assert content(file) == b"x123456789\0\0ab"


@pytest.mark.parametrize(
    ("get", "put", "flags"),
    [(PLENTY, NOTHING, os.O_WRONLY), (PLENTY, NOTHING, os.O_RDWR), (NOTHING, PLENTY, os.O_RDONLY)],
)
async def test_what_has_no_budget_cannot_be_opened(
    channel: Make, get: Budget, put: Budget, flags: int
) -> None:
    made = channel(get, put)
    assert made.known().mode & 0o777 == (0o400 if get.times else 0o200)
    with refused(errno.EACCES):
        await opened(made, flags)


async def test_a_file_that_shrinks_lied_about_its_size(channel: Make, file: Path) -> None:
    handle = await opened(channel(PLENTY))
    os.truncate(file, 4)
    assert await handle.read(0, 100) == b"0123"
    with pytest.raises(ReportedError, match="had 10 bytes when it was opened, and has 4 now"):
        await handle.read(0, 100)


async def test_a_file_that_grows_gives_what_it_promised(channel: Make, file: Path) -> None:
    handle = await opened(channel(PLENTY))
    with file.open("ab") as more:
        more.write(b"more")
    assert [await handle.read(0, 100), await handle.read(0, 100)] == [b"0123456789", b""]


async def test_the_file_is_the_one_that_was_opened(channel: Make, file: Path) -> None:
    made = channel(PLENTY)
    replace(file)
    assert await (await opened(made)).read(0, 100) == b"0123456789"


async def test_a_channel_without_a_file_is_in_memory() -> None:
    with closing(open_channel(None, PLENTY, PLENTY)) as made:
        handle = await opened(made, os.O_RDWR)
        await handle.write(0, b"kept")
        await handle.fsync(data_only=True)
        assert await handle.read(0, 100) == b"kept"


def test_what_is_to_be_written_is_made(tmp_path: Path) -> None:
    open_channel(str(tmp_path / "new"), NOTHING, PLENTY).close()
    assert (tmp_path / "new").read_bytes() == b""
    with refused(errno.ENOENT):
        open_channel(str(tmp_path / "absent"), PLENTY)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/proc/self/status", path)])
def test_what_has_no_size_is_no_channel(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "it")
    with refused(errno.EINVAL):
        open_channel(str(tmp_path / "it"), PLENTY)
