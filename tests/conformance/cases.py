"""The table: what every writable tree must do, a case a function. The names are the documentation.

A case gets an empty tree and changes it as a program would; it knows nothing of what stands behind.
`CASES` holds all, `KERNEL_CASES` those that need the kernel between (mappings, its checks), `SEEDED_CASES`
those that begin with what `seed` made: for a copy-on-write tree that is what the host had before.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Awaitable, Callable

from conformance.files import EXCHANGE, NOREPLACE, Calls, kind, refused

Case = Callable[[Calls], Awaitable[None]]
CASES: list[Case] = []
KERNEL_CASES: list[Case] = []
SEEDED_CASES: list[Case] = []


def case(function: Case) -> Case:
    """Puts a case into the table."""
    CASES.append(function)
    return function


def kernel_case(function: Case) -> Case:
    """Puts a case into the table of those that need the kernel."""
    KERNEL_CASES.append(function)
    return function


def seeded_case(function: Case) -> Case:
    """Puts a case into the table of those that find something."""
    SEEDED_CASES.append(function)
    return function


async def seed(files: Calls) -> None:
    """Makes what the seeded cases find."""
    await files.put(b"old", b"old content")
    await files.put(b"first", b"linked")
    await files.link(b"first", b"second")
    await files.mkdir(b"d")
    await files.put(b"d/a", b"below")
    await files.symlink(b"old", b"l")


# --- content


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


# --- open(2)


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


# --- names


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


# --- links


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


# --- rename(2)


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


# --- attributes


@case
async def chmod_sets_the_permission_bits(files: Calls) -> None:
    await files.put(b"a")
    await files.chmod(b"a", 0o600)
    assert (await files.stat(b"a"))["mode"] == stat.S_IFREG | 0o600
    await files.mkdir(b"d")
    await files.chmod(b"d", 0o1777)
    assert (await files.stat(b"d"))["mode"] == stat.S_IFDIR | 0o1777


@case
async def utime_sets_both_times_to_the_nanosecond(files: Calls) -> None:
    await files.put(b"a")
    await files.utime(b"a", 1_000_000_001_123_456_789, 1_500_000_002_987_654_321)
    found = await files.stat(b"a")
    assert found["atime"] == 1_000_000_001_123_456_789
    assert found["mtime"] == 1_500_000_002_987_654_321


@case
async def times_before_1970_are_kept(files: Calls) -> None:
    await files.put(b"a")
    await files.utime(b"a", -1_500_000_000, -2_000_000_000)
    found = await files.stat(b"a")
    assert (found["atime"], found["mtime"]) == (-1_500_000_000, -2_000_000_000)


@case
async def changes_set_the_times(files: Calls) -> None:
    await files.put(b"a", b"x")
    await files.utime(b"a", 1, 1)
    before = await files.stat(b"a")
    await files.put(b"a", b"xy")
    after = await files.stat(b"a")
    assert after["mtime"] > before["mtime"]
    assert after["ctime"] >= before["ctime"]
    await files.utime(b".", 1, 1)
    await files.put(b"b")
    assert (await files.stat(b"."))["mtime"] > 1
    await files.utime(b".", 1, 1)
    await files.unlink(b"b")
    assert (await files.stat(b"."))["mtime"] > 1


@case
async def giving_a_file_to_oneself_is_allowed(files: Calls) -> None:
    await files.put(b"a")
    found = await files.stat(b"a")
    await files.chown(b"a", found["uid"], found["gid"])
    await files.chown(b"a", -1, found["gid"])
    assert (await files.stat(b"a"))["uid"] == found["uid"]


# --- extended attributes


@case
async def extended_attributes_are_kept(files: Calls) -> None:
    await files.put(b"a")
    await files.setxattr(b"a", b"user.one", b"1\0\xff")
    await files.setxattr(b"a", b"user.two", b"")
    await files.setxattr(b"a", b"user.one", b"new")
    assert await files.getxattr(b"a", b"user.one") == b"new"
    assert await files.getxattr(b"a", b"user.two") == b""
    assert sorted(await files.listxattr(b"a")) == [b"user.one", b"user.two"]
    await files.removexattr(b"a", b"user.one")
    assert await files.listxattr(b"a") == [b"user.two"]


@case
async def an_absent_extended_attribute_is_enodata(files: Calls) -> None:
    await files.mkdir(b"d")
    with refused(errno.ENODATA):
        await files.getxattr(b"d", b"user.absent")
    with refused(errno.ENODATA):
        await files.removexattr(b"d", b"user.absent")


# --- with the kernel between


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


# --- with something there before


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
