"""Every call that takes a path, with every kind of path: which errno, and what is changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import partial

from calls import (
    AT_SYMLINK_NOFOLLOW,
    EXCHANGE,
    NOREPLACE,
    UTIME_NOW,
    UTIME_OMIT,
    WHITEOUT,
    Call,
    access,
    attempt,
    bind,
    chdir,
    opened,
    rename,
    utimens,
)
from stage import LONG, Stage

PATHS = {
    "a file": b"f",
    "a directory": b"d",
    "a full directory": b"full",
    "a link": b"l",
    "a link to a directory": b"ld",
    "a dangling link": b"dangling",
    "a loop": b"loop",
    "a fifo": b"p",
    "a mute file": b"mute",
    "a closed directory": b"closed",
    "a read-only directory": b"ro",
    "absent": b"absent",
    "not UTF-8": b"\xff\xfe",
    "255 bytes": LONG,
    "255 bytes, absent": b"m" * 255,
    "256 bytes": b"n" * 256,
    "below 256 bytes": b"n" * 256 + b"/x",
    "256 bytes below": b"d/" + b"n" * 256,
    "below absent": b"absent/x",
    "below a file": b"f/x",
    "below a fifo": b"p/x",
    "below a dangling link": b"dangling/x",
    "below a loop": b"loop/x",
    "below a link": b"ld/x",
    "in a closed directory": b"closed/f",
    "absent in a closed directory": b"closed/x",
    "in a read-only directory": b"ro/f",
    "a directory in a read-only one": b"ro/d",
    "absent in a read-only directory": b"ro/x",
    "4095 bytes": b"./" * 2047 + b"f",
    "4096 bytes": b"./" * 2047 + b".f",
    "empty": b"",
    "a file/": b"f/",
    "a directory/": b"d/",
    "absent/": b"absent/",
    "a link to a directory/": b"ld/",
    "a dangling link/": b"dangling/",
    "dot": b"d/.",
    "dot-dot": b"d/..",
}

ME = (os.getuid(), os.getgid())
NEW = os.O_CREAT | os.O_WRONLY
# acl_ea_header and entries of a plain 0755: linux/posix_acl_xattr.h
ACL = b"\2\0\0\0" + b"".join(
    tag.to_bytes(2, "little") + bits.to_bytes(2, "little") + b"\xff" * 4
    for tag, bits in ((1, 7), (4, 5), (0x20, 5))
)

ONE_PATH: dict[str, Call] = {
    "open O_RDONLY": lambda path: opened(path, os.O_RDONLY),
    "open O_WRONLY": lambda path: opened(path, os.O_WRONLY),
    "open O_RDWR": lambda path: opened(path, os.O_RDWR),
    "open O_TRUNC": lambda path: opened(path, os.O_WRONLY | os.O_TRUNC),
    "open O_RDONLY O_TRUNC": lambda path: opened(path, os.O_RDONLY | os.O_TRUNC),
    "open O_CREAT": lambda path: opened(path, NEW),
    "open O_CREAT 04755": lambda path: opened(path, NEW, 0o755),
    "open O_CREAT 0": lambda path: opened(path, NEW, 0),
    "open O_CREAT O_RDONLY": lambda path: opened(path, os.O_CREAT),
    "open O_CREAT O_EXCL": lambda path: opened(path, NEW | os.O_EXCL),
    "open O_CREAT O_NOFOLLOW": lambda path: opened(path, NEW | os.O_NOFOLLOW),
    "open O_CREAT O_DIRECTORY": lambda path: opened(path, NEW | os.O_DIRECTORY),
    "open O_DIRECTORY": lambda path: opened(path, os.O_DIRECTORY),
    "open O_NOFOLLOW": lambda path: opened(path, os.O_NOFOLLOW),
    "open O_PATH": lambda path: opened(path, os.O_PATH | os.O_NOFOLLOW),
    "open O_APPEND": lambda path: opened(path, os.O_WRONLY | os.O_APPEND),
    "mkdir": lambda path: os.mkdir(path, 0o777),
    "mkdir 01700": lambda path: os.mkdir(path, 0o1700),
    "rmdir": os.rmdir,
    "unlink": os.unlink,
    "mkfifo": lambda path: os.mkfifo(path, 0o666),
    "mknod file": lambda path: os.mknod(path, stat.S_IFREG | 0o644),
    "mknod socket": lambda path: os.mknod(path, stat.S_IFSOCK | 0o644),
    "mknod device": lambda path: os.mknod(path, stat.S_IFCHR | 0o644, os.makedev(1, 3)),
    "mknod directory": lambda path: os.mknod(path, stat.S_IFDIR | 0o644),
    "bind": bind,
    "symlink": lambda path: os.symlink(b"target", path),
    "readlink": os.readlink,
    "stat": lambda path: stat.S_IFMT(os.stat(path).st_mode),
    "lstat": lambda path: stat.S_IFMT(os.lstat(path).st_mode),
    "statvfs": lambda path: os.statvfs(path).f_namemax,
    "access R_OK": lambda path: access(path, os.R_OK),
    "access W_OK": lambda path: access(path, os.W_OK),
    "access X_OK": lambda path: access(path, os.X_OK),
    "chdir": chdir,
    "readdir": lambda path: sorted(os.listdir(path)),
    "chmod": lambda path: os.chmod(path, 0o740),
    "chmod 01777": lambda path: os.chmod(path, 0o1777),
    "chown to me": lambda path: os.chown(path, *ME),
    "chown -1 -1": lambda path: os.chown(path, -1, -1),
    "chown to another": lambda path: os.chown(path, ME[0] + 1, -1),
    "chown to another group": lambda path: os.chown(path, -1, ME[1] + 1),
    "lchown to me": lambda path: os.lchown(path, *ME),
    "truncate 0": lambda path: os.truncate(path, 0),
    "truncate 100": lambda path: os.truncate(path, 100),
    "truncate -1": lambda path: os.truncate(path, -1),
    "utimes now": lambda path: utimens(path, (0, UTIME_NOW), (0, UTIME_NOW)),
    "utimes set": lambda path: utimens(path, (5, 6), (7, 8)),
    "utimes omitted": lambda path: utimens(path, (0, UTIME_OMIT), (0, UTIME_OMIT)),
    "utimes half": lambda path: utimens(path, (0, UTIME_OMIT), (7, 8)),
    "utimes invalid": lambda path: utimens(path, (0, 1_000_000_000), (7, 8)),
    "utimes of the link": lambda path: utimens(path, (5, 6), (7, 8), AT_SYMLINK_NOFOLLOW),
    "setxattr": lambda path: os.setxattr(path, b"user.x", b"1"),
    "setxattr XATTR_CREATE": lambda path: os.setxattr(path, b"user.x", b"1", os.XATTR_CREATE),
    "setxattr XATTR_REPLACE": lambda path: os.setxattr(path, b"user.x", b"1", os.XATTR_REPLACE),
    "setxattr of a link": lambda path: os.setxattr(path, b"user.x", b"1", follow_symlinks=False),
    "setxattr trusted": lambda path: os.setxattr(path, b"trusted.x", b"1"),
    "setxattr nothing": lambda path: os.setxattr(path, b"user.", b"1"),
    "setxattr no class": lambda path: os.setxattr(path, b"x", b"1"),
    "getxattr": lambda path: os.getxattr(path, b"user.x"),
    "getxattr trusted": lambda path: os.getxattr(path, b"trusted.x"),
    "listxattr": os.listxattr,
    "removexattr": lambda path: os.removexattr(path, b"user.x"),
    "get ACL": lambda path: os.getxattr(path, b"system.posix_acl_access"),
    "set ACL": lambda path: os.setxattr(path, b"system.posix_acl_access", ACL),
    "rename": lambda path: rename(path, b"target"),
    "rename EXCHANGE NOREPLACE": lambda path: rename(path, b"other", EXCHANGE | NOREPLACE),
    "rename EXCHANGE WHITEOUT": lambda path: rename(path, b"other", EXCHANGE | WHITEOUT),
    "rename WHITEOUT": lambda path: rename(path, b"target", WHITEOUT),
    "rename 8": lambda path: rename(path, b"target", 8),
    "rename onto itself": lambda path: rename(path, path),
    "link": lambda path: os.link(path, b"target", follow_symlinks=False),
    "link of the target": lambda path: os.link(path, b"target", follow_symlinks=True),
}

# What is renamed and linked onto what.
PAIRED = {
    name: PATHS[name]
    for name in (
        "a file",
        "a directory",
        "a full directory",
        "a link",
        "a fifo",
        "absent",
        "256 bytes",
        "below a file",
        "in a read-only directory",
        "absent in a read-only directory",
        "a directory/",
        "dot",
    )
} | {
    "another file": b"other",
    "its hard link": b"hard",
    "another directory": b"e",
    "below a full directory": b"full/f",
    "a directory below a full one": b"full/x",
    "absent below a directory": b"full/x/new",
    "here": b".",
}

TWO_PATHS: dict[str, Call] = {
    "rename": rename,
    "rename NOREPLACE": partial(rename, flags=NOREPLACE),
    "rename EXCHANGE": partial(rename, flags=EXCHANGE),
    "link": partial(os.link, follow_symlinks=False),
}


def one_path() -> Iterator[tuple[str, str]]:
    """Each call with each path."""
    stage = Stage()
    for call_name, call in ONE_PATH.items():
        for path_name, path in PATHS.items():
            stage.enter()
            outcome = attempt(call, path)
            yield f"{call_name}, {path_name}", f"{outcome} {stage.changes(outcome)}".strip()
    stage.leave()


def two_paths() -> Iterator[tuple[str, str]]:
    """Each call with each pair of paths."""
    stage = Stage()
    for call_name, call in TWO_PATHS.items():
        for old_name, old in PAIRED.items():
            for new_name, new in PAIRED.items():
                stage.enter()
                outcome = attempt(call, old, new)
                yield f"{call_name}, {old_name} to {new_name}", f"{outcome} {stage.changes(outcome)}".strip()
    stage.leave()
