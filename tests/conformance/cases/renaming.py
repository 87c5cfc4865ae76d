"""rename(2), with its flags."""

from __future__ import annotations

import errno

from conformance.cases.table import case
from conformance.files import EXCHANGE, NOREPLACE, Calls, refused


@case
async def renaming_moves_the_file_itself(files: Calls) -> None:
    await files.put(b"a", b"hello")
    number = (await files.stat(b"a"))["ino"]
    await files.mkdir(b"d")
    await files.rename(b"a", b"d/b", 0)
    assert (await files.stat(b"d/b"))["ino"] == number
    assert await files.get(b"d/b") == b"hello"
    with refused(errno.ENOENT):
        await files.stat(b"a")


@case
async def renaming_a_directory_takes_what_is_below_along(files: Calls) -> None:
    await files.mkdir(b"d")
    await files.mkdir(b"d/e")
    await files.put(b"d/e/a", b"hello")
    await files.mkdir(b"x")
    await files.rename(b"d", b"x/y", 0)
    assert await files.get(b"x/y/e/a") == b"hello"
    assert await files.listdir(b".") == [b"x"]


@case
async def renaming_onto_another_kind_is_refused(files: Calls) -> None:
    await files.put(b"a")
    await files.mkdir(b"d")
    with refused(errno.EISDIR):
        await files.rename(b"a", b"d", 0)
    with refused(errno.ENOTDIR):
        await files.rename(b"d", b"a", 0)


@case
async def renaming_a_directory_onto_an_empty_one_replaces_it(files: Calls) -> None:
    await files.mkdir(b"d")
    await files.put(b"d/a")
    await files.mkdir(b"e")
    await files.rename(b"d", b"e", 0)
    assert await files.listdir(b"e") == [b"a"]
    await files.mkdir(b"f")
    with refused(errno.ENOTEMPTY, errno.EEXIST):
        await files.rename(b"f", b"e", 0)


@case
async def renaming_a_directory_below_itself_is_einval(files: Calls) -> None:
    await files.mkdir(b"d")
    await files.mkdir(b"d/e")
    with refused(errno.EINVAL):
        await files.rename(b"d", b"d/e/f", 0)


@case
async def renaming_one_hard_link_onto_the_other_changes_nothing(files: Calls) -> None:
    await files.put(b"a", b"hello")
    await files.link(b"a", b"b")
    await files.rename(b"a", b"b", 0)
    assert sorted(await files.listdir(b".")) == [b"a", b"b"]


@case
async def renaming_an_absent_name_is_enoent(files: Calls) -> None:
    with refused(errno.ENOENT):
        await files.rename(b"a", b"b", 0)


@case
async def noreplace_refuses_a_name_that_is_there(files: Calls) -> None:
    await files.put(b"a", b"a")
    await files.put(b"b", b"b")
    with refused(errno.EEXIST):
        await files.rename(b"a", b"b", NOREPLACE)
    await files.rename(b"a", b"c", NOREPLACE)
    assert await files.get(b"c") == b"a"
    assert await files.get(b"b") == b"b"


@case
async def exchange_swaps_two_names(files: Calls) -> None:
    await files.put(b"a", b"file")
    await files.mkdir(b"d")
    await files.put(b"d/x", b"below")
    await files.rename(b"a", b"d", EXCHANGE)
    assert await files.get(b"d") == b"file"
    assert await files.get(b"a/x") == b"below"
    await files.rename(b"a", b"a", EXCHANGE)
    assert await files.get(b"a/x") == b"below"
    with refused(errno.ENOENT):
        await files.rename(b"a", b"absent", EXCHANGE)
