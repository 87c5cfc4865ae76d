"""A channel: one open file with a budget, through which all of a world's programs get and put.

Rules, after ZeroVM's channels:
- It is opened when it is made, once; whoever opens it later gets the same channel, and uses the one budget.
- A get or put beyond the number of operations is EDQUOT. One that crosses the number of bytes passes what is
  left; the next is EDQUOT. The end of what there is to get is a get of 0 bytes, whatever is left.
- What is sequential passes in order, each byte once, whoever asks: there are no offsets (ESPIPE). A put lands
  at the end of the file. O_TRUNC does nothing, truncate(2) is EPERM. A file grows by the bytes that may be
  put at the most: EFBIG where a random put would leave a hole beyond that.
- The size that the file has when it is opened is a promise. What is added later is not given; where a part is
  gone, getting it is EIO and a fault event.
- A sequential direction has a SHA-256 of all that passed, in order; a random one has none.

All work is done at once, without a checkpoint: two operations never mix.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass

from libos.fs.host_files import sync
from libos.fs.layers.counting import Direction
from libos.fs.node import APP, STREAM, Attributes, Caller, Change, File, Handle, ReportedError, refusal

OpenFile = Callable[[str, int], int]


@dataclass(frozen=True)
class Budget:
    """How often something may pass one way, and how many bytes; None is no limit. `random`: at any offset."""

    times: int | None = 0
    size: int | None = 0
    random: bool = False

    @property
    def open(self) -> bool:
        """Whether anything may pass at all."""
        return self.times != 0


NOTHING = Budget()


def _open_file(path: str, flags: int) -> int:
    # What the caller's umask leaves of this is the mode of a new file: open(2).
    return os.open(path, flags | os.O_CLOEXEC, 0o666)


def open_channel(
    path: str | None, get: Budget = NOTHING, put: Budget = NOTHING, open_file: OpenFile = _open_file
) -> Channel:
    """The channel of a regular file of the host, or, with None, of a new file in memory. A file that is to be
    written is made where there is none.

    Close it in the end. `open_file` is open(2), by who may. Raises OSError as that does, EINVAL for what is
    no regular file or has no size.
    """
    if path is None:
        return Channel(os.memfd_create("channel", os.MFD_CLOEXEC), get, put, "the channel")
    access = os.O_RDONLY
    if put.open:
        access = os.O_CREAT | (os.O_RDWR if get.open else os.O_WRONLY)
    appending = os.O_APPEND if put.open and not put.random else 0
    fd = open_file(path, access | appending | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        if why := _unfit(fd, put):
            raise OSError(errno.EINVAL, f"{path} cannot be a channel: {why}")
        return Channel(fd, get, put, path)
    except BaseException:
        os.close(fd)
        raise


def _unfit(fd: int, put: Budget) -> str | None:
    """Why a file cannot be a channel."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        return "it is no regular file"
    if not (put.open or found.st_size) and os.pread(fd, 1, 0):
        return "it says that it is empty, and is not"
    return None


class Channel(File):
    """See the module. Owns its descriptor."""

    cache = STREAM

    def __init__(self, fd: int, get: Budget, put: Budget, name: str) -> None:
        self._fd = fd
        self._name = name
        self._budgets = (get, put)
        self._got = Direction(get.times, get.size)
        self._put = Direction(put.times, put.size)
        self._next = 0  # where the next sequential get begins
        self._opened = os.fstat(fd)
        self._end = self._opened.st_size  # as promised, and as far as was put

    def close(self) -> None:
        """Lets the file go. Once."""
        os.close(self._fd)

    def known(self) -> Attributes:
        get, put = self._budgets
        mode = (0o400 if get.open else 0) | (0o200 if put.open else 0)
        times = (self._opened.st_atime_ns, self._opened.st_mtime_ns, self._opened.st_ctime_ns)
        return Attributes(stat.S_IFREG | mode, self._end, 1, *APP, 0, *times, (self._end + 511) // 512)

    async def setattr(self, change: Change) -> Attributes:
        raise refusal(errno.EPERM)

    async def open(self, flags: int, caller: Caller) -> Handle:
        get, put = self._budgets
        access = flags & os.O_ACCMODE
        reads, writes = access != os.O_WRONLY, access != os.O_RDONLY
        if (reads and not get.open) or (writes and not put.open):
            raise refusal(errno.EACCES)
        return _Open(self, (reads and get.random) or (writes and put.random))

    def get(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes. EDQUOT; EIO where the file lied about its size."""
        budget, passing = self._budgets[0], self._got
        if budget.times is not None and passing.count >= budget.times:
            raise refusal(errno.EDQUOT)
        at = offset if budget.random else self._next
        if (there := self._end - at) <= 0:
            passing.count += 1
            return b""
        passing.begin()
        wanted = min(size, there, there if passing.left is None else passing.left)
        data = _read(self._fd, at, wanted)
        passing.passed(data)
        self._next = at + len(data)
        if not data:
            raise self._lied(at)
        return data

    def put(self, offset: int, data: bytes) -> int:
        """The number of bytes taken. EDQUOT; EFBIG; the host's own errors, as ENOSPC."""
        budget, passing = self._budgets[1], self._put
        passing.begin()
        at = offset if budget.random else self._end
        data = data[: passing.left]
        if budget.size is not None and at + len(data) > self._opened.st_size + budget.size:
            raise refusal(errno.EFBIG)
        taken = os.pwrite(self._fd, data, at)
        passing.passed(data[:taken])
        self._end = max(self._end, at + taken)
        return taken

    def _lied(self, size: int) -> OSError:
        text = f"{self._name} had {self._opened.st_size} bytes when it was opened, and has {size} now"
        return ReportedError(errno.EIO, text)

    async def sync(self, *, data_only: bool) -> None:
        """fsync(2)."""
        await sync(self._fd, data_only)

    def totals(self) -> dict[str, int | str | None]:
        """What passed, as the exit event tells it. A digest is None where the order is random, or nothing may
        pass."""
        return {
            "gets": self._got.count,
            "get_size": self._got.size,
            "get_sha256": _digest(self._budgets[0], self._got),
            "puts": self._put.count,
            "put_size": self._put.size,
            "put_sha256": _digest(self._budgets[1], self._put),
        }


def _digest(budget: Budget, passed: Direction) -> str | None:
    """Of what passed in order."""
    return str(passed.digest.hexdigest()) if budget.open and not budget.random else None


def _read(fd: int, offset: int, size: int) -> bytes:
    """All that there is of it: pread(2) may give less at once."""
    data = b""
    while len(data) < size and (more := os.pread(fd, size - len(data), offset + len(data))):
        data += more
    return data


class _Open(Handle):
    """One open of a channel: it has nothing of its own."""

    direct = True

    def __init__(self, channel: Channel, seekable: bool) -> None:
        self._channel = channel
        self.seekable = seekable

    async def read(self, offset: int, size: int) -> bytes:
        return self._channel.get(offset, size)

    async def write(self, offset: int, data: bytes) -> int:
        return self._channel.put(offset, data)

    async def fsync(self, *, data_only: bool) -> None:
        await self._channel.sync(data_only=data_only)
