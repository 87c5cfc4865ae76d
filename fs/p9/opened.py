"""Open files of a 9P2000.L server, and whole listings of its directories.

What is opened has a fid of its own: that of its node stays unopened. A listing has LISTING_MAX names at most.
"""

from __future__ import annotations

import errno
import os

import trio

from libos.fs.node import Handle, ReportedError
from libos.fs.p9 import codec
from libos.fs.p9 import messages as p9
from libos.fs.p9.client import Client
from libos.fs.p9.codec import MalformedError
from libos.fs.p9.messages import Qid

# Names of one directory at most.
LISTING_MAX = 100_000


class RemoteHandle(Handle):
    """An open fid."""

    def __init__(self, client: Client, fid: int) -> None:
        self.client = client
        self.fid = fid

    async def read(self, offset: int, size: int) -> bytes:
        parts: list[bytes] = []
        got = 0
        while got < size:
            count = min(size - got, self.client.data_max)
            (data,) = await self.client.ask(p9.TREAD, self.fid, offset + got, count)
            if len(data) > count:
                raise ReportedError(errno.EIO, "9P: more bytes than were asked for")
            if not data:
                break
            parts.append(data)
            got += len(data)
        return b"".join(parts)

    async def write(self, offset: int, data: bytes) -> int:
        done = 0
        while done < len(data):
            part = data[done : done + self.client.data_max]
            (count,) = await self.client.ask(p9.TWRITE, self.fid, offset + done, part)
            if not 0 < count <= len(part):
                raise ReportedError(errno.EIO, f"9P: {count} of {len(part)} bytes are said to be written")
            done += count
        return done

    async def fsync(self, *, data_only: bool) -> None:
        await self.client.ask(p9.TFSYNC, self.fid, int(data_only))

    async def close(self) -> None:
        self.client.drop(self.fid)


async def opened(client: Client, fid: int, flags: int) -> RemoteHandle:
    """What a fid stands for, opened by open(2)'s flags."""
    new = await cloned(client, fid)
    try:
        await client.ask(p9.TLOPEN, new, spoken(flags))
    except (OSError, trio.Cancelled):
        client.drop(new)
        raise
    return RemoteHandle(client, new)


async def cloned(client: Client, fid: int) -> int:
    """Another fid for the same file."""
    new = client.fid()
    await client.ask(p9.TWALK, fid, new, (), makes=new)
    return new


async def listing(client: Client, fid: int) -> list[bytes]:
    """The names of a directory, each once, without "." and ".."."""
    handle = await opened(client, fid, os.O_RDONLY)
    names: dict[bytes, None] = {}
    offset = 0
    try:
        while batch := await _batch(handle, offset):
            names.update(dict.fromkeys(name for *_, name in batch if name not in (b".", b"..")))
            if batch[-1][1] <= offset or len(names) > LISTING_MAX:
                raise ReportedError(errno.EIO, "9P: a listing that does not end")
            offset = batch[-1][1]
    finally:
        client.drop(handle.fid)
    return list(names)


def spoken(flags: int) -> int:
    """open(2)'s flags as the protocol numbers them."""
    said = flags & os.O_ACCMODE
    said |= p9.TRUNCATE if flags & os.O_TRUNC else 0
    return said | (p9.APPEND if flags & os.O_APPEND else 0)


async def _batch(handle: RemoteHandle, offset: int) -> list[tuple[Qid, int, int, bytes]]:
    (data,) = await handle.client.ask(p9.TREADDIR, handle.fid, offset, handle.client.data_max)
    try:
        return codec.entries(data)
    except MalformedError as error:
        raise ReportedError(errno.EIO, f"9P: {error}") from None
