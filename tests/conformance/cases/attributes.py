"""Modes, owners, times and extended attributes."""

from __future__ import annotations

import errno
import stat

from conformance.cases.table import case
from conformance.files import Calls, refused


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
