"""What is written is read: bytes, offsets, holes, ends."""

from __future__ import annotations

import errno
import os
import stat

from conformance.cases.table import case
from conformance.files import Calls, refused


@case
async def what_is_written_is_read(files: Calls) -> None:
    await files.put(b"a", b"hello")
    assert await files.get(b"a") == b"hello"
    assert (await files.stat(b"a"))["size"] == 5


@case
async def a_new_file_has_the_mode_asked_for_without_the_umask(files: Calls) -> None:
    await files.put(b"a", mode=0o666)
    assert (await files.stat(b"a"))["mode"] == stat.S_IFREG | 0o644


@case
async def reads_stop_at_the_end(files: Calls) -> None:
    await files.put(b"a", b"0123456789")
    fd = await files.open(b"a", os.O_RDONLY)
    assert await files.pread(fd, 100, 8) == b"89"
    assert await files.pread(fd, 100, 10) == b""
    assert await files.pread(fd, 100, 1 << 40) == b""


@case
async def writing_beyond_the_end_leaves_a_hole_of_zeros(files: Calls) -> None:
    fd = await files.open(b"a", os.O_CREAT | os.O_RDWR)
    await files.pwrite(fd, b"end", 1 << 20)
    assert (await files.fstat(fd))["size"] == (1 << 20) + 3
    assert await files.pread(fd, 8, (1 << 20) - 4) == b"\0\0\0\0end"


@case
async def a_large_file_keeps_its_bytes(files: Calls) -> None:
    data = bytes(range(256)) * 4096 * 3  # 3 MiB
    await files.put(b"a", data)
    assert await files.get(b"a") == data


@case
async def a_sparse_file_of_a_terabyte_is_possible(files: Calls) -> None:
    await files.put(b"a")
    await files.truncate(b"a", 1 << 40)
    assert (await files.stat(b"a"))["size"] == 1 << 40
    fd = await files.open(b"a", os.O_RDWR)
    await files.pwrite(fd, b"x", 1 << 39)
    assert await files.pread(fd, 3, (1 << 39) - 1) == b"\0x\0"


@case
async def truncating_cuts_and_growing_again_shows_zeros(files: Calls) -> None:
    await files.put(b"a", b"0123456789")
    await files.truncate(b"a", 4)
    assert await files.get(b"a") == b"0123"
    await files.truncate(b"a", 6)
    assert await files.get(b"a") == b"0123\0\0"


@case
async def ftruncate_works_on_a_file_whose_mode_forbids_writing_now(files: Calls) -> None:
    fd = await files.open(b"a", os.O_CREAT | os.O_RDWR, 0o444)
    await files.write(fd, b"hello")
    await files.ftruncate(fd, 2)
    assert (await files.fstat(fd))["size"] == 2


@case
async def opening_with_truncation_empties_the_file(files: Calls) -> None:
    await files.put(b"a", b"hello")
    await files.close(await files.open(b"a", os.O_WRONLY | os.O_TRUNC))
    assert (await files.stat(b"a"))["size"] == 0


@case
async def appending_writes_at_the_end_whatever_the_offset(files: Calls) -> None:
    await files.put(b"a", b"one ")
    fd = await files.open(b"a", os.O_WRONLY | os.O_APPEND)
    await files.seek(fd, 0, os.SEEK_SET)
    await files.write(fd, b"two ")
    other = await files.open(b"a", os.O_WRONLY | os.O_APPEND)
    await files.write(other, b"three ")
    await files.write(fd, b"four")
    assert await files.get(b"a") == b"one two three four"


@case
async def two_descriptors_see_each_others_writes(files: Calls) -> None:
    await files.put(b"a", b"....")
    reader, writer = await files.open(b"a", os.O_RDONLY), await files.open(b"a", os.O_WRONLY)
    assert await files.pread(reader, 9, 0) == b"...."
    await files.pwrite(writer, b"new", 2)
    assert await files.pread(reader, 9, 0) == b"..new"


@case
async def a_descriptor_for_reading_cannot_write_and_the_other_way(files: Calls) -> None:
    await files.put(b"a", b"hello")
    reader, writer = await files.open(b"a", os.O_RDONLY), await files.open(b"a", os.O_WRONLY)
    with refused(errno.EBADF):
        await files.write(reader, b"x")
    with refused(errno.EBADF):
        await files.read(writer, 1)


@case
async def fsync_is_accepted(files: Calls) -> None:
    fd = await files.open(b"a", os.O_CREAT | os.O_WRONLY)
    await files.write(fd, b"hello")
    await files.fsync(fd)


@case
async def seeking_from_the_end_and_back(files: Calls) -> None:
    await files.put(b"a", b"0123456789")
    fd = await files.open(b"a", os.O_RDONLY)
    assert await files.seek(fd, -3, os.SEEK_END) == 7
    assert await files.read(fd, 2) == b"78"
    assert await files.seek(fd, -1, os.SEEK_CUR) == 8
    assert await files.read(fd, 9) == b"89"
