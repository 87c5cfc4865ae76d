"""Attacks on a directory that is granted read-only: every way to change a file, its attributes, its name.

SETTING: "place", the directory; it has "file" and "other". Where it is copy-on-write all of them work, and
none may show outside.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import stat
import struct

from trying import SETTING, checked, libc, main, named

_PLACE = str(SETTING.get("place", "/nowhere"))
_FILE, _OTHER = f"{_PLACE}/file", f"{_PLACE}/other"
_AT_FDCWD = -100
_FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS = 0x80086601, 0x40086602


def _restored(path: str) -> None:
    """The file is there again for the next attack, where this one took it away."""
    if not os.path.exists(path):
        with open(path, "w") as file:
            file.write("as it was")


def write() -> object:
    return os.write(os.open(_FILE, os.O_WRONLY), b"x")


def write_and_read() -> object:
    return os.pwrite(os.open(_FILE, os.O_RDWR), b"x", 3)


def append() -> object:
    return os.write(os.open(_FILE, os.O_WRONLY | os.O_APPEND), b"x")


def truncate_while_opening_to_read() -> object:
    """O_RDONLY | O_TRUNC truncates all the same, where the file may be written."""
    return os.open(_FILE, os.O_RDONLY | os.O_TRUNC)


def truncate_by_path() -> object:
    os.truncate(_FILE, 1)
    return "truncated"


def truncate_by_descriptor() -> object:
    os.ftruncate(os.open(_FILE, os.O_RDWR), 1)
    return "truncated"


def write_by_a_path_descriptor() -> object:
    """An O_PATH descriptor asks for no right; /proc/self/fd opens it anew."""
    return os.write(os.open(f"/proc/self/fd/{os.open(_FILE, os.O_PATH)}", os.O_WRONLY), b"x")


def write_by_a_reading_descriptor() -> object:
    return os.write(os.open(f"/proc/self/fd/{os.open(_FILE, os.O_RDONLY)}", os.O_RDWR), b"x")


def write_by_the_working_directory() -> object:
    os.chdir(_PLACE)
    return os.write(os.open("/proc/self/cwd/file", os.O_WRONLY), b"x")


def write_by_the_root_of_proc() -> object:
    return os.write(os.open("/proc/self/root" + _FILE, os.O_WRONLY), b"x")


def write_through_a_mapping() -> object:
    fd = os.open(_FILE, os.O_RDWR)
    with mmap.mmap(fd, 1, mmap.MAP_SHARED, mmap.PROT_WRITE | mmap.PROT_READ) as pages:
        pages[:1] = b"x"
    return "written"


def turn_a_mapping_writable() -> object:
    """mprotect(2) of a shared mapping that was made to read: the descriptor decides."""
    try:
        fd = os.open(_FILE, os.O_RDWR)
    except OSError:
        fd = os.open(_FILE, os.O_RDONLY)
    libc.mmap.restype = ctypes.c_void_p
    at = libc.mmap(None, ctypes.c_size_t(4096), 1, 1, fd, ctypes.c_long(0))
    return checked(libc.mprotect(ctypes.c_void_p(at), ctypes.c_size_t(4096), 3), "mprotect")


def allocate() -> object:
    os.posix_fallocate(os.open(_FILE, os.O_RDWR), 0, 100_000)
    return "allocated"


def punch_a_hole() -> object:
    fd = os.open(_FILE, os.O_RDWR)
    return checked(libc.fallocate(fd, 3, ctypes.c_long(0), ctypes.c_long(4)), "fallocate")


def copy_into() -> object:
    return os.copy_file_range(os.open("/proc/self/exe", os.O_RDONLY), os.open(_FILE, os.O_WRONLY), 10)


def send_into() -> object:
    return os.sendfile(os.open(_FILE, os.O_WRONLY), os.open(_OTHER, os.O_RDONLY), 0, 4)


def splice_into() -> object:
    read_fd, write_fd = os.pipe()
    os.write(write_fd, b"x")
    return os.splice(read_fd, os.open(_FILE, os.O_WRONLY), 1)


def change_the_mode() -> object:
    os.chmod(_FILE, 0o777)
    return "changed"


def change_the_mode_by_descriptor() -> object:
    os.fchmod(os.open(_FILE, os.O_RDONLY), 0o700)
    return "changed"


def change_the_owner() -> object:
    os.chown(_FILE, os.getuid(), os.getgid())
    return "changed"


def set_the_times() -> object:
    os.utime(_FILE, (1, 1))
    return "set"


def touch() -> object:
    """utimensat(2) with no times: who may write may do it, the owner or not."""
    return checked(libc.utimensat(_AT_FDCWD, _FILE.encode(), None, 0), "utimensat")


def set_an_attribute() -> object:
    os.setxattr(_FILE, "user.libos", b"x")
    return "set"


def set_an_attribute_by_descriptor() -> object:
    os.setxattr(os.open(_FILE, os.O_RDONLY), "user.libos2", b"x")
    return "set"


def set_an_access_list() -> object:
    entries = [(1, 7, -1), (2, 7, 1000), (4, 7, -1), (16, 7, -1), (32, 7, -1)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *each) for each in entries)
    os.setxattr(_FILE, "system.posix_acl_access", acl)
    return "set"


def set_the_inodes_flags() -> object:
    """FS_IOC_SETFLAGS, chattr(1): "no dump"."""
    fd = os.open(_FILE, os.O_RDONLY)
    flags = bytearray(8)
    fcntl.ioctl(fd, _FS_IOC_GETFLAGS, flags)
    (value,) = struct.unpack_from("=I", flags)
    fcntl.ioctl(fd, _FS_IOC_SETFLAGS, struct.pack("=Q", value | 0x40))
    return "set"


def link_it_elsewhere() -> object:
    """A second name in a place that may be written: the file would be written by it."""
    os.link(_FILE, SETTING["writable"] + "/linked")
    return os.write(os.open(SETTING["writable"] + "/linked", os.O_WRONLY), b"x")


def link_it_beside() -> object:
    os.link(_FILE, f"{_PLACE}/linked")
    return "linked"


def remove() -> object:
    os.unlink(_OTHER)
    _restored(_OTHER)
    return "removed"


def rename_away() -> object:
    os.rename(_OTHER, f"{_PLACE}/renamed")
    _restored(_OTHER)
    return "renamed"


def rename_out() -> object:
    os.rename(_OTHER, SETTING["writable"] + "/taken")
    _restored(_OTHER)
    return "taken"


def rename_over() -> object:
    os.rename(_OTHER, _FILE)
    _restored(_OTHER)
    return "renamed"


def exchange() -> object:
    return checked(libc.renameat2(_AT_FDCWD, _FILE.encode(), _AT_FDCWD, _OTHER.encode(), 2), "renameat2")


def new_file() -> object:
    return os.open(f"{_PLACE}/new", os.O_CREAT | os.O_WRONLY)


def new_unnamed_file() -> object:
    return os.open(_PLACE, os.O_TMPFILE | os.O_RDWR)


def new_directory() -> object:
    os.mkdir(f"{_PLACE}/directory")
    return "made"


def new_link() -> object:
    os.symlink("file", f"{_PLACE}/link")
    return "made"


def new_fifo() -> object:
    os.mkfifo(f"{_PLACE}/fifo")
    return "made"


def new_socket() -> object:
    os.mknod(f"{_PLACE}/socket", stat.S_IFSOCK | 0o600)
    return "made"


def take_a_lease() -> object:
    """F_SETLEASE to write: whoever opens the file on the host waits. fcntl(2)"""
    fd = os.open(_FILE, os.O_RDWR)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    return "held"


def take_a_lease_by_reading() -> object:
    """A lease to write on a descriptor to read: whoever opens the file on the host to read waits too."""
    fcntl.fcntl(os.open(_FILE, os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_WRLCK)
    return "held"


ATTACKS = named(globals(), __name__)

if __name__ == "__main__":
    main(ATTACKS)
