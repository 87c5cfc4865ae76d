"""Does file operations for a test on the other side of a pipe. Standard library only: it runs inside worlds.

Each line on stdin is the repr of (operation, arguments); each line on stdout the repr of ("value", result)
or ("errno", number). Paths are relative to the current directory.
"""

from __future__ import annotations

import ast
import ctypes
import mmap
import os
import sys

_libc = ctypes.CDLL(None, use_errno=True)


def stat_fields(found: os.stat_result) -> dict[str, int]:
    """What tests look at of stat(2)."""
    return {
        "mode": found.st_mode,
        "size": found.st_size,
        "links": found.st_nlink,
        "uid": found.st_uid,
        "gid": found.st_gid,
        "ino": found.st_ino,
        "atime": found.st_atime_ns,
        "mtime": found.st_mtime_ns,
        "ctime": found.st_ctime_ns,
    }


def rename(old: bytes, new: bytes, flags: int) -> None:
    """renameat2(2) from the current directory."""
    if _libc.renameat2(-100, old, -100, new, ctypes.c_uint(flags)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mmap_write(path: bytes, offset: int, data: bytes) -> None:
    """Writes through a shared mapping."""
    fd = os.open(path, os.O_RDWR)
    try:
        with mmap.mmap(fd, os.fstat(fd).st_size) as area:
            area[offset : offset + len(data)] = data
            area.flush()
    finally:
        os.close(fd)


def mmap_read(path: bytes) -> bytes:
    """Reads all through a mapping."""
    fd = os.open(path, os.O_RDONLY)
    try:
        with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as area:
            return bytes(area)
    finally:
        os.close(fd)


def write_below_a_mapping(path: bytes, data: bytes) -> bytes:
    """What a mapping for reading shows after a write at the file's start that came later."""
    reader_fd = os.open(path, os.O_RDONLY)
    with mmap.mmap(reader_fd, 0, prot=mmap.PROT_READ) as area:
        writer_fd = os.open(path, os.O_WRONLY)
        os.pwrite(writer_fd, data, 0)
        os.close(writer_fd)
        os.close(reader_fd)
        return bytes(area)


def begin(path: bytes) -> None:
    """Goes to a directory, made if it is absent, and lets go of all that the case before left open."""
    os.closerange(3, 256)
    try:
        os.mkdir(path)
    except FileExistsError:
        pass
    os.chdir(path)


OPERATIONS = {
    "begin": begin,
    "open": os.open,
    "close": os.close,
    "read": os.read,
    "write": os.write,
    "pread": os.pread,
    "pwrite": os.pwrite,
    "seek": os.lseek,
    "fsync": os.fsync,
    "fstat": lambda fd: stat_fields(os.fstat(fd)),
    "stat": lambda path: stat_fields(os.stat(path)),
    "lstat": lambda path: stat_fields(os.lstat(path)),
    "truncate": os.truncate,
    "ftruncate": os.ftruncate,
    "chmod": os.chmod,
    "chown": os.chown,
    "utime": lambda path, atime, mtime: os.utime(path, ns=(atime, mtime)),
    "mkdir": os.mkdir,
    "rmdir": os.rmdir,
    "unlink": os.unlink,
    "rename": rename,
    "link": os.link,
    "symlink": os.symlink,
    "readlink": os.readlink,
    "listdir": os.listdir,
    "mknod": os.mknod,
    "getxattr": os.getxattr,
    "setxattr": os.setxattr,
    "listxattr": lambda path: [os.fsencode(name) for name in os.listxattr(path)],
    "removexattr": os.removexattr,
    "mmap_write": mmap_write,
    "mmap_read": mmap_read,
    "write_below_a_mapping": write_below_a_mapping,
    "statvfs": lambda path: os.statvfs(path).f_namemax,
}


def answer(line: str) -> tuple[str, object]:
    """The result of one request."""
    operation, arguments = ast.literal_eval(line)
    try:
        return "value", OPERATIONS[operation](*arguments)  # type: ignore[operator]
    except OSError as error:
        return "errno", error.errno


def main() -> None:
    """Answers until stdin ends."""
    os.umask(0o022)
    for line in sys.stdin:
        print(repr(answer(line)), flush=True)


if __name__ == "__main__":
    main()
