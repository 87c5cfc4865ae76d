"""open(2): what is there, what is not, and what is replaced or removed while it is open."""

from __future__ import annotations

import errno
import os

from conformance.cases.table import case
from conformance.files import Calls, refused


@case
async def an_absent_name_is_enoent(files: Calls) -> None:
    with refused(errno.ENOENT):
        await files.open(b"absent", os.O_RDONLY)
    with refused(errno.ENOENT):
        await files.stat(b"absent/below")


@case
async def exclusive_creation_refuses_what_is_there(files: Calls) -> None:
    await files.put(b"a", b"old")
    with refused(errno.EEXIST):
        await files.open(b"a", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    assert await files.get(b"a") == b"old"


@case
async def exclusive_creation_refuses_a_dangling_link(files: Calls) -> None:
    await files.symlink(b"nowhere", b"l")
    with refused(errno.EEXIST):
        await files.open(b"l", os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW)


@case
async def opening_a_directory_for_writing_is_eisdir(files: Calls) -> None:
    await files.mkdir(b"d")
    with refused(errno.EISDIR):
        await files.open(b"d", os.O_WRONLY)


@case
async def a_file_removed_while_open_lives_until_it_is_closed(files: Calls) -> None:
    fd = await files.open(b"a", os.O_CREAT | os.O_RDWR)
    await files.write(fd, b"hello")
    await files.unlink(b"a")
    await files.pwrite(fd, b"J", 0)
    assert await files.pread(fd, 9, 0) == b"Jello"
    assert (await files.fstat(fd))["links"] == 0
    await files.put(b"a", b"another")
    assert await files.pread(fd, 9, 0) == b"Jello"


@case
async def a_file_replaced_while_open_keeps_its_content(files: Calls) -> None:
    await files.put(b"a", b"old")
    fd = await files.open(b"a", os.O_RDONLY)
    await files.put(b"b", b"new")
    await files.rename(b"b", b"a", 0)
    assert await files.pread(fd, 9, 0) == b"old"
    assert await files.get(b"a") == b"new"
