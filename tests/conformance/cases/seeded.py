"""Cases that begin with what `seed` made: in a copy-on-write tree, what the host had before."""

from __future__ import annotations

import errno
import os
import stat

from conformance.cases.table import seeded_case
from conformance.files import EXCHANGE, NOREPLACE, Calls, refused


@seeded_case
async def what_was_there_is_there(files: Calls) -> None:
    assert sorted(await files.listdir(b".")) == [b"d", b"first", b"l", b"old", b"second"]
    assert await files.get(b"l") == b"old content"
    assert await files.get(b"d/a") == b"below"
    assert (await files.stat(b"first"))["links"] == 2


@seeded_case
async def an_old_file_can_be_written_appended_to_and_cut(files: Calls) -> None:
    fd = await files.open(b"old", os.O_RDWR)
    await files.pwrite(fd, b"new", 0)
    assert await files.get(b"l") == b"new content"
    await files.write(await files.open(b"old", os.O_WRONLY | os.O_APPEND), b"!")
    assert await files.get(b"old") == b"new content!"
    await files.truncate(b"old", 3)
    assert await files.get(b"old") == b"new"


@seeded_case
async def an_old_file_keeps_its_number_when_it_is_changed(files: Calls) -> None:
    number = (await files.stat(b"old"))["ino"]
    await files.put(b"old", b"new")
    assert (await files.stat(b"old"))["ino"] == number
    await files.chmod(b"d/a", 0o600)
    await files.rename(b"old", b"d/b", 0)
    assert (await files.stat(b"d/b"))["ino"] == number


@seeded_case
async def an_old_files_mode_times_and_attributes_can_be_set(files: Calls) -> None:
    await files.chmod(b"old", 0o640)
    await files.utime(b"old", 1_000_000_000, 2_000_000_000)
    await files.setxattr(b"old", b"user.one", b"1")
    found = await files.stat(b"old")
    assert (found["mode"], found["mtime"]) == (stat.S_IFREG | 0o640, 2_000_000_000)
    assert await files.getxattr(b"old", b"user.one") == b"1"
    assert await files.get(b"old") == b"old content"
    await files.chmod(b"d", 0o700)
    assert (await files.stat(b"d"))["mode"] == stat.S_IFDIR | 0o700


@seeded_case
async def old_names_can_be_removed_and_made_anew(files: Calls) -> None:
    await files.unlink(b"old")
    with refused(errno.ENOENT):
        await files.stat(b"l")
    await files.put(b"old", b"another")
    assert await files.get(b"l") == b"another"
    await files.unlink(b"d/a")
    await files.rmdir(b"d")
    await files.mkdir(b"d")
    assert await files.listdir(b"d") == []
    assert sorted(await files.listdir(b".")) == [b"d", b"first", b"l", b"old", b"second"]


@seeded_case
async def an_old_directory_with_names_is_not_removed(files: Calls) -> None:
    with refused(errno.ENOTEMPTY):
        await files.rmdir(b"d")
    await files.unlink(b"d/a")
    await files.rmdir(b"d")
    await files.put(b"d", b"a file now")
    assert await files.get(b"d") == b"a file now"


@seeded_case
async def an_old_file_can_be_renamed_linked_and_exchanged(files: Calls) -> None:
    await files.rename(b"old", b"d/moved", 0)
    assert await files.get(b"d/moved") == b"old content"
    await files.link(b"d/moved", b"third")
    assert await files.get(b"third") == b"old content"
    await files.rename(b"third", b"d/a", EXCHANGE)
    assert await files.get(b"third") == b"below"
    assert await files.get(b"d/a") == b"old content"
    await files.rename(b"l", b"l2", NOREPLACE)
    assert await files.readlink(b"l2") == b"old"


@seeded_case
async def an_old_directory_can_be_renamed(files: Calls) -> None:
    await files.rename(b"d", b"e", 0)
    assert await files.get(b"e/a") == b"below"


@seeded_case
async def an_old_hard_link_is_still_one_file_after_a_change(files: Calls) -> None:
    fd = await files.open(b"first", os.O_WRONLY)
    await files.pwrite(fd, b"LINK", 0)
    assert await files.get(b"second") == b"LINKed"
    assert (await files.stat(b"first"))["links"] == 2


@seeded_case
async def a_reader_of_an_old_file_sees_what_is_written_later(files: Calls) -> None:
    reader = await files.open(b"old", os.O_RDONLY)
    assert await files.pread(reader, 3, 0) == b"old"
    writer = await files.open(b"old", os.O_WRONLY)
    await files.pwrite(writer, b"new", 0)
    assert await files.pread(reader, 3, 0) == b"new"


@seeded_case
async def a_removed_old_file_lives_until_it_is_closed(files: Calls) -> None:
    fd = await files.open(b"old", os.O_RDONLY)
    await files.unlink(b"old")
    await files.put(b"old", b"another")
    assert await files.pread(fd, 99, 0) == b"old content"


@seeded_case
async def a_mapping_of_an_old_file_sees_what_is_written_later(files: Calls) -> None:
    if not files.kernel:
        return  # mappings are the kernel's
    assert await files.write_below_a_mapping(b"old", b"new") == b"new content"
