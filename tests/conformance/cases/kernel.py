"""Cases that need the kernel between: mappings, and its checks."""

from __future__ import annotations

import errno
import os

from conformance.cases.table import kernel_case
from conformance.files import Calls, refused


@kernel_case
async def a_shared_mapping_writes_the_file(files: Calls) -> None:
    await files.put(b"a", b"." * 10_000)
    await files.mmap_write(b"a", 5_000, b"hello")
    assert (await files.get(b"a"))[4_999:5_006] == b".hello."


@kernel_case
async def a_mapping_sees_what_was_written(files: Calls) -> None:
    await files.put(b"a", b"." * 5_000)
    assert await files.mmap_read(b"a") == b"." * 5_000
    fd = await files.open(b"a", os.O_WRONLY)
    await files.pwrite(fd, b"hello", 4_995)
    assert (await files.mmap_read(b"a"))[-6:] == b".hello"


@kernel_case
async def names_are_255_bytes_long(files: Calls) -> None:
    assert await files.statvfs(b".") == 255


@kernel_case
async def a_directory_without_permission_cannot_be_listed(files: Calls) -> None:
    if (await files.stat(b"."))["uid"] == 0:
        return  # root may
    await files.mkdir(b"d", 0o000)
    with refused(errno.EACCES):
        await files.listdir(b"d")
    with refused(errno.EACCES):
        await files.stat(b"d/a")


@kernel_case
async def a_file_without_permission_cannot_be_opened(files: Calls) -> None:
    if (await files.stat(b"."))["uid"] == 0:
        return
    await files.put(b"a", b"x", 0o200)
    with refused(errno.EACCES):
        await files.open(b"a", os.O_RDONLY)
    await files.chmod(b"a", 0o400)
    with refused(errno.EACCES):
        await files.open(b"a", os.O_WRONLY)
