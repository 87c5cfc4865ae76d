"""Run the escape in a root of another kind, as root of a user namespace of its own.

    unshare --user --map-root-user --mount python3 confine.py chroot|plain|pivot FOLDER FILE

`chroot` is chroot(2) alone, with every right that the escape wants. `plain` is the same, and the rights are
given up before the escape begins. `pivot` has the rights too, and makes the folder the root of its mount
namespace by pivot_root(2), as libos does for each world. The program is this one: it needs nothing of the new
root.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

from escape import escape

# mount(2), umount2(2): linux/mount.h.
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 0x1000, 0x4000, 0x40000, 2
# pivot_root(2) has no function in glibc: its number, asm/unistd.h.
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
# capset(2): the version of its structures, linux/capability.h; with 0 as the process, the caller itself.
CAPABILITY_VERSION_3 = 0x20080522

libc = ctypes.CDLL(None, use_errno=True)


def must(result: int) -> None:
    """Raise the OSError of a call that failed."""
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def pivot(folder: str) -> None:
    """Make `folder` the root of this mount namespace, and drop the old one (pivot_root(2), NOTES)."""
    here = os.fsencode(folder)
    must(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
    must(libc.mount(here, here, None, MS_BIND | MS_REC, None))
    os.chdir(folder)
    must(libc.syscall(PIVOT_ROOT[platform.machine()], b".", b"."))
    must(libc.umount2(b".", MNT_DETACH))
    os.chdir("/")


def change_root(folder: str) -> None:
    """Make `folder` this process's root, and nothing else."""
    os.chroot(folder)
    os.chdir("/")


def give_up_rights() -> None:
    """Drop every capability: the effective, permitted and inheritable sets become empty."""
    must(libc.capset(struct.pack("Ii", CAPABILITY_VERSION_3, 0), bytes(24)))


def main() -> None:
    """Confine this process, say what `/` is now, and try to get out."""
    kind, folder, file = sys.argv[1:]
    try:
        (pivot if kind == "pivot" else change_root)(folder)
    except OSError as error:
        sys.exit(f"cannot confine: {error.strerror}")
    if kind == "plain":
        give_up_rights()
    print("root:", *sorted(os.listdir("/")))
    escape(file)


if __name__ == "__main__":
    main()
