"""Modes, owners, times, extended attributes, and what stat(2) and statx(2) show."""

from __future__ import annotations

import ctypes
import os
import stat
import time
from collections.abc import Iterator

from calls import AT_FDCWD, UTIME_NOW, UTIME_OMIT, Call, attempt, libc, utimens
from names import ACL
from stage import put

# statx(2), linux/stat.h
STATX_BASIC_STATS, STATX_BTIME = 0x7FF, 0x800


def mode(path: bytes) -> str:
    return oct(stat.S_IMODE(os.lstat(path).st_mode))


def every_permission_bit() -> Iterator[object]:
    put(b"f", b"")
    os.mkdir(b"d")
    for bits in (0o777, 0o1777, 0o000, 0o644, 0o2770, 0o4755, 0o6755, 0o7777):
        yield attempt(os.chmod, b"f", bits), mode(b"f")
        yield attempt(os.chmod, b"d", bits), mode(b"d")


def umask() -> Iterator[object]:
    for mask in (0o000, 0o027, 0o077, 0o777):
        old = os.umask(mask)
        name = b"%o" % mask
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o666))
        os.mkdir(b"d" + name, 0o777)
        os.mkfifo(b"p" + name, 0o666)
        os.symlink(b"x", b"l" + name)
        os.umask(old)
        yield mode(name), mode(b"d" + name), mode(b"p" + name), mode(b"l" + name)


def set_gid_directory() -> Iterator[object]:
    os.mkdir(b"d")
    os.chmod(b"d", 0o2775)
    put(b"d/f", b"")
    os.mkdir(b"d/sub")
    yield mode(b"d"), mode(b"d/f"), mode(b"d/sub")
    yield os.stat(b"d/f").st_gid == os.stat(b"d").st_gid


def privilege_bits_go_when_a_file_is_changed() -> Iterator[object]:
    changes: tuple[tuple[Call, tuple[object, ...]], ...] = (
        (put, (b"x",)),
        (os.truncate, (0,)),
        (os.chown, (os.getuid(), os.getgid())),
    )
    for change, arguments in changes:
        put(b"f", b"content")
        os.chmod(b"f", 0o6777)
        change(b"f", *arguments)
        yield mode(b"f")


def sticky_directory() -> Iterator[object]:
    os.mkdir(b"d")
    os.chmod(b"d", 0o1777)
    put(b"d/f", b"")
    yield attempt(os.rename, b"d/f", b"d/g")
    yield attempt(os.unlink, b"d/g")
    yield mode(b"d")


def times_are_set_as_asked() -> Iterator[object]:
    put(b"f", b"")
    utimens(b"f", (1, 123456789), (2, 987654321))
    yield os.stat(b"f").st_atime_ns, os.stat(b"f").st_mtime_ns
    utimens(b"f", (0, UTIME_OMIT), (3, 1))
    yield os.stat(b"f").st_atime_ns, os.stat(b"f").st_mtime_ns
    utimens(b"f", (4, 2), (0, UTIME_OMIT))
    yield os.stat(b"f").st_atime_ns, os.stat(b"f").st_mtime_ns
    before = time.time() - 2
    utimens(b"f", (0, UTIME_NOW), (0, UTIME_OMIT))
    yield os.stat(b"f").st_atime > before, os.stat(b"f").st_mtime_ns
    utimens(b"f", (0, UTIME_NOW), (0, UTIME_NOW))
    yield os.stat(b"f").st_mtime > before
    utimens(b"f", (-2, 5), (4102444800, 5))
    yield os.stat(b"f").st_atime_ns, os.stat(b"f").st_mtime_ns
    fd = os.open(b"f", os.O_RDONLY)
    os.utime(fd, ns=(7, 8))
    yield os.fstat(fd).st_atime_ns, os.fstat(fd).st_mtime_ns


def changed_by(path: bytes, change: object, *arguments: object) -> str:
    """Which of mtime and ctime a call changes."""
    utimens(path, (1, 0), (1, 0))
    before = os.lstat(path)
    time.sleep(0.02)  # what times are counted in, at most: CONFIG_HZ of 100, twice
    outcome = attempt(change, *arguments)  # type: ignore[arg-type]  # os functions of any form
    after = os.lstat(path)
    marks = [name for name in ("st_mtime_ns", "st_ctime_ns") if getattr(after, name) != getattr(before, name)]
    return f"{outcome} {marks}"


def which_calls_change_which_times() -> Iterator[object]:
    put(b"f", b"content")
    os.mkdir(b"d")
    put(b"d/old", b"")
    yield changed_by(b"f", os.chmod, b"f", 0o600)
    yield changed_by(b"f", os.truncate, b"f", 3)
    yield changed_by(b"f", os.truncate, b"f", 3)
    yield changed_by(b"f", put, b"f", b"new")
    yield changed_by(b"f", os.link, b"f", b"g")
    yield changed_by(b"f", os.unlink, b"g")
    yield changed_by(b"f", os.setxattr, b"f", b"user.a", b"1")
    yield changed_by(b"f", os.chown, b"f", os.getuid(), os.getgid())
    yield changed_by(b"f", os.chown, b"f", -1, -1)
    yield changed_by(b"d", os.chown, b"d", -1, -1)
    yield changed_by(b"f", attempt, os.rmdir, b"f")
    for call, *arguments in (
        (put, b"d/a", b""),
        (os.mkdir, b"d/b"),
        (os.symlink, b"x", b"d/c"),
        (os.link, b"f", b"d/e"),
        (os.rename, b"d/a", b"d/z"),
        (os.unlink, b"d/z"),
        (os.rmdir, b"d/b"),
        (put, b"d/old", b"changed"),
        (os.mkfifo, b"d/p"),
        (os.mkdir, b"d/old"),
    ):
        yield changed_by(b"d", call, *arguments)


def statx() -> Iterator[object]:
    put(b"f", b"12345")
    buffer = bytearray(256)
    area = (ctypes.c_char * 256).from_buffer(buffer)
    libc("statx", AT_FDCWD, b"f", 0, STATX_BASIC_STATS | STATX_BTIME, area)
    mask = int.from_bytes(buffer[0:4], "little")
    yield "basic", mask & STATX_BASIC_STATS == STATX_BASIC_STATS
    yield "birth", bool(mask & STATX_BTIME)
    yield "size", int.from_bytes(buffer[40:48], "little")
    yield attempt(libc, "statx", AT_FDCWD, b"f", 0x80000000, 0, area)
    fd = os.open(b"f", os.O_PATH)
    yield attempt(libc, "statx", fd, b"", 0x1000, STATX_BASIC_STATS, area)


def access_follows_the_mode() -> Iterator[object]:
    put(b"f", b"#!/bin/sh\n")
    for bits in (0o000, 0o400, 0o200, 0o100, 0o777):
        os.chmod(b"f", bits)
        yield [os.access(b"f", wanted) for wanted in (os.F_OK, os.R_OK, os.W_OK, os.X_OK)]
        yield attempt(lambda: os.close(os.open(b"f", os.O_RDONLY)))
        yield attempt(lambda: os.close(os.open(b"f", os.O_WRONLY)))


def extended_attributes() -> Iterator[object]:
    put(b"f", b"")
    os.mkdir(b"d")
    for path in (b"f", b"d"):
        yield attempt(os.setxattr, path, b"user.one", b"1", os.XATTR_CREATE)
        yield attempt(os.setxattr, path, b"user.one", b"2", os.XATTR_CREATE)
        yield attempt(os.setxattr, path, b"user.two", b"", os.XATTR_REPLACE)
        yield attempt(os.setxattr, path, b"user.one", b"2" * 1000, os.XATTR_REPLACE)
        yield attempt(os.getxattr, path, b"user.one")
        yield attempt(os.setxattr, path, b"user." + b"n" * 250, b"long")
        yield attempt(os.setxattr, path, b"user." + b"n" * 251, b"too long")
        yield attempt(os.setxattr, path, b"user.big", b"v" * 65537)
        yield sorted(os.listxattr(path))
        yield attempt(os.removexattr, path, b"user.one")
        yield attempt(os.removexattr, path, b"user.one")
        yield attempt(os.getxattr, path, b"user.one")
    fd = os.open(b"f", os.O_RDONLY)
    yield attempt(os.setxattr, fd, b"user.fd", b"1"), attempt(os.getxattr, fd, b"user.fd")
    os.chmod(b"f", 0o444)
    yield attempt(os.setxattr, b"f", b"user.two", b"1")


def access_control_lists() -> Iterator[object]:
    put(b"f", b"")
    yield attempt(os.getxattr, b"f", b"system.posix_acl_access")
    yield attempt(os.setxattr, b"f", b"system.posix_acl_access", ACL)
    yield attempt(os.removexattr, b"f", b"system.posix_acl_access")
    named = ACL[:12] + b"\2\0\4\0" + (12345).to_bytes(4, "little") + ACL[12:20] + b"\x10\0\4\0" + b"\xff" * 4
    yield attempt(os.setxattr, b"f", b"system.posix_acl_access", named + ACL[20:])
    yield [name for name in os.listxattr(b"f") if "acl" in name]


def links_are_counted() -> Iterator[object]:
    put(b"f", b"")
    for number in range(20):
        os.link(b"f", b"l%d" % number)
    yield os.stat(b"f").st_nlink, os.stat(b"l7").st_ino == os.stat(b"f").st_ino
    fd = os.open(b"f", os.O_RDONLY)
    for name in os.listdir(b"."):
        os.unlink(name)
    yield os.fstat(fd).st_nlink
    os.mkdir(b"d")
    before = os.stat(b"d").st_nlink
    os.mkdir(b"d/sub")
    yield os.stat(b"d").st_nlink - before


CASES = (
    every_permission_bit,
    umask,
    set_gid_directory,
    privilege_bits_go_when_a_file_is_changed,
    sticky_directory,
    times_are_set_as_asked,
    which_calls_change_which_times,
    statx,
    access_follows_the_mode,
    extended_attributes,
    access_control_lists,
    links_are_counted,
)
