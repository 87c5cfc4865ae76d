"""Listings, large and deep directories, names of any bytes, moving directories, watching them."""

from __future__ import annotations

import os
import select
import struct
from collections.abc import Iterator

from calls import EXCHANGE, attempt, libc, rename
from stage import put


def ten_thousand_entries() -> Iterator[object]:
    os.mkdir(b"d")
    names = [b"%05d" % number for number in range(10_000)]
    for name in names:
        os.close(os.open(b"d/" + name, os.O_CREAT | os.O_WRONLY))
    yield sorted(os.listdir(b"d")) == names
    yield attempt(os.rmdir, b"d")
    with os.scandir(b"d") as listing:
        for index, entry in enumerate(listing):  # removing while listing: readdir(3) allows it
            if index % 2:
                os.unlink(entry.path)
    yield len(os.listdir(b"d"))
    for name in os.listdir(b"d"):
        os.unlink(b"d/" + name)
    yield os.listdir(b"d"), attempt(os.rmdir, b"d")


def deep_paths() -> Iterator[object]:
    home = os.open(b".", os.O_RDONLY)
    for _ in range(100):
        os.mkdir(b"n" * 100)
        os.chdir(b"n" * 100)
    put(b"f", b"deep")
    yield attempt(os.stat, b"../" * 100 + b"n" * 100)[:14]
    yield attempt(os.getcwd)[:4] in ("ENAM", "ERAN") or len(os.getcwd()) > 10_000
    yield os.stat(b"f").st_size
    for _ in range(50):
        os.chdir(b"..")
    rename(b"n" * 100, b"moved")
    os.chdir(b"moved")
    for _ in range(49):
        os.chdir(b"n" * 100)
    yield os.stat(b"f").st_size
    os.fchdir(home)


def names_of_any_bytes() -> Iterator[object]:
    names = [bytes([byte]) * 3 for byte in range(1, 256) if byte != ord("/")]
    for name in names:
        put(name, name)
    yield sorted(os.listdir(b".")) == sorted(names)
    for name in names:
        with open(name, "rb") as file:
            assert file.read() == name, name
    yield attempt(os.stat, b"\xff" * 255), attempt(os.stat, b"\xff" * 256)


def what_a_listing_tells() -> Iterator[object]:
    os.mkdir(b"d")
    put(b"f", b"")
    os.symlink(b"f", b"l")
    os.mkfifo(b"p")
    with os.scandir(b".") as listing:
        for entry in sorted(listing, key=lambda entry: entry.name):
            kinds = entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False)
            yield entry.name, kinds, entry.is_symlink(), entry.inode() == os.lstat(entry.name).st_ino
    fd = os.open(b".", os.O_RDONLY)
    yield sorted(os.listdir(fd)), sorted(os.listdir(fd))
    put(b"new", b"")
    yield sorted(os.listdir(fd))


def directories_move_with_what_is_below() -> Iterator[object]:
    os.makedirs(b"a/b/c")
    put(b"a/b/c/f", b"content")
    fd = os.open(b"a/b/c", os.O_RDONLY)
    rename(b"a/b", b"moved")
    yield os.listdir(b"a"), os.listdir(b"moved/c"), os.listdir(fd)
    os.chdir(b"moved/c")
    yield os.stat(b"../..").st_ino == os.stat(b"../../.").st_ino, sorted(os.listdir(b"../.."))
    os.chdir(b"../..")
    rename(b"a", b"moved", EXCHANGE)
    yield sorted(os.listdir(b".")), os.listdir(b"a/c"), os.listdir(b"moved")
    yield attempt(rename, b"a", b"a/c/inside"), attempt(rename, b"a/c", b"a")
    for _ in range(300):
        rename(b"a", b"z")
        rename(b"z", b"a")
    yield os.stat(b"a/c/f").st_size


def a_directory_held_and_removed() -> Iterator[object]:
    os.mkdir(b"d")
    os.chdir(b"d")
    os.rmdir(b"../d")
    yield attempt(os.getcwd), attempt(os.listdir, b"."), attempt(put, b"x", b"")
    yield attempt(os.stat, b"..")[:14]
    os.chdir(b"..") if attempt(os.chdir, b"..") == "ok" else None


def watched() -> Iterator[object]:
    fd = libc("inotify_init1", os.O_NONBLOCK)
    libc("inotify_add_watch", fd, b".", 0x3C6)  # modify, attrib, moved, create, delete
    put(b"f", b"x")
    os.chmod(b"f", 0o600)
    os.rename(b"f", b"g")
    os.unlink(b"g")
    select.select([fd], [], [], 5)
    data, seen = os.read(fd, 65536), []
    while data:
        mask, _, length = struct.unpack("III", data[4:16])
        seen.append((hex(mask), data[16 : 16 + length].rstrip(b"\0")))
        data = data[16 + length :]
    yield seen


def space_told() -> Iterator[object]:
    found = os.statvfs(b".")
    yield found.f_namemax, found.f_bsize > 0, found.f_bavail > 0, found.f_favail > 0


CASES = (
    ten_thousand_entries,
    deep_paths,
    names_of_any_bytes,
    what_a_listing_tells,
    directories_move_with_what_is_below,
    a_directory_held_and_removed,
    watched,
    space_told,
)
