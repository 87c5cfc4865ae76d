"""Names, directories, types and links."""

from __future__ import annotations

import errno
import stat

from conformance.cases.table import case
from conformance.files import Calls, kind, refused


@case
async def walking_through_a_file_is_enotdir(files: Calls) -> None:
    await files.put(b"a")
    with refused(errno.ENOTDIR):
        await files.stat(b"a/b")


@case
async def names_of_255_bytes_work_and_256_are_too_long(files: Calls) -> None:
    await files.put(b"n" * 255, b"x")
    assert await files.listdir(b".") == [b"n" * 255]
    with refused(errno.ENAMETOOLONG):
        await files.put(b"n" * 256)
    with refused(errno.ENAMETOOLONG):
        await files.stat(b"n" * 256)
    with refused(errno.ENAMETOOLONG):
        await files.mkdir(b"n" * 256)
    with refused(errno.ENAMETOOLONG):
        await files.rename(b"n" * 255, b"m" * 256, 0)


@case
async def names_may_be_any_bytes(files: Calls) -> None:
    names = [b"\xff\xfe", b"new\nline", b"\x01", b"-", b" ", b"\xc3\xa9", b"..."]
    for name in names:
        await files.put(name, name)
    assert sorted(await files.listdir(b".")) == sorted(names)
    for name in names:
        assert await files.get(name) == name


@case
async def a_listing_has_every_name_once(files: Calls) -> None:
    await files.mkdir(b"d")
    names = [b"%04d" % number for number in range(300)]
    for name in names:
        await files.put(b"d/" + name)
    assert sorted(await files.listdir(b"d")) == names


@case
async def directories_count_their_links(files: Calls) -> None:
    await files.mkdir(b"d")
    before = (await files.stat(b"d"))["links"]
    await files.mkdir(b"d/sub")
    after = (await files.stat(b"d"))["links"]
    assert after - before in (0, 1)  # 1, but for file systems that do not count (btrfs)
    await files.rmdir(b"d/sub")
    assert (await files.stat(b"d"))["links"] == before


@case
async def making_what_is_there_is_eexist(files: Calls) -> None:
    await files.put(b"a")
    for name in (b"mkdir", b"symlink", b"mknod", b"link"):
        with refused(errno.EEXIST):
            await {
                b"mkdir": lambda: files.mkdir(b"a"),
                b"symlink": lambda: files.symlink(b"x", b"a"),
                b"mknod": lambda: files.mknod(b"a", stat.S_IFIFO | 0o644),
                b"link": lambda: files.link(b"a", b"a"),
            }[name]()


@case
async def removing_by_the_wrong_call_is_refused(files: Calls) -> None:
    await files.put(b"a")
    await files.mkdir(b"d")
    with refused(errno.ENOTDIR):
        await files.rmdir(b"a")
    with refused(errno.EISDIR):
        await files.unlink(b"d")
    with refused(errno.ENOENT):
        await files.unlink(b"absent")


@case
async def a_directory_with_names_is_not_removed(files: Calls) -> None:
    await files.mkdir(b"d")
    await files.put(b"d/a")
    with refused(errno.ENOTEMPTY):
        await files.rmdir(b"d")
    await files.unlink(b"d/a")
    await files.rmdir(b"d")
    assert await files.listdir(b".") == []


@case
async def a_fifo_and_a_socket_show_their_type(files: Calls) -> None:
    await files.mknod(b"f", stat.S_IFIFO | 0o600)
    await files.mknod(b"s", stat.S_IFSOCK | 0o600)
    assert kind(await files.stat(b"f")) == stat.S_IFIFO
    assert kind(await files.stat(b"s")) == stat.S_IFSOCK


@case
async def device_files_are_refused(files: Calls) -> None:
    if files.kernel:
        return  # the kernel itself refuses whoever has no CAP_MKNOD
    with refused(errno.EPERM):
        await files.mknod(b"null", stat.S_IFCHR | 0o666)


@case
async def hard_links_are_one_file(files: Calls) -> None:
    await files.put(b"a", b"one")
    await files.link(b"a", b"b")
    first, second = await files.stat(b"a"), await files.stat(b"b")
    assert first["ino"] == second["ino"]
    assert first["links"] == 2
    await files.put(b"b", b"two")
    assert await files.get(b"a") == b"two"
    await files.unlink(b"a")
    assert (await files.stat(b"b"))["links"] == 1


@case
async def a_directory_cannot_be_hard_linked(files: Calls) -> None:
    await files.mkdir(b"d")
    with refused(errno.EPERM):
        await files.link(b"d", b"e")


@case
async def a_symbolic_link_holds_its_target_as_it_is(files: Calls) -> None:
    for number, target in enumerate((b"a", b"../x//y/", b"/absolute", b"\xff", b"t" * 4000)):
        name = b"l%d" % number
        await files.symlink(target, name)
        assert await files.readlink(name) == target
        found = await files.lstat(name)
        assert kind(found) == stat.S_IFLNK
        assert found["size"] == len(target)


@case
async def a_symbolic_link_leads_to_its_target(files: Calls) -> None:
    await files.mkdir(b"d")
    await files.put(b"d/a", b"hello")
    await files.symlink(b"d", b"l")
    assert await files.get(b"l/a") == b"hello"
    await files.symlink(b"loop", b"loop")
    with refused(errno.ELOOP):
        await files.stat(b"loop")


@case
async def reading_a_link_that_is_none_is_einval(files: Calls) -> None:
    await files.put(b"a")
    with refused(errno.EINVAL):
        await files.readlink(b"a")
