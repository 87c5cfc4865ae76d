"""What root of a system may do, tried one after another: each "done", or what the kernel says.

It is for a jail, and for namespaces of one's own (unshare(1)); in those of the host it would change the host,
and refuses to.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
from collections.abc import Callable

libc = ctypes.CDLL(None, use_errno=True)


def mount() -> None:
    """Mount a file system in memory on /tmp (mount(2))."""
    if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) != 0:
        raise OSError(ctypes.get_errno(), "mount")


def raw_socket() -> None:
    """Open a raw socket (raw(7))."""
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


def attempt(action: Callable[[], object]) -> str:
    """ "done", or what the kernel says."""
    try:
        action()
    except OSError as error:
        return os.strerror(error.errno or 0)
    return "done"


def is_host() -> bool:
    """Whether this is the host's own user namespace, where every id is itself (user_namespaces(7))."""
    with open("/proc/self/uid_map") as file:
        return file.read().split() == ["0", "0", str(2**32 - 1)]


if __name__ == "__main__":
    if is_host():
        sys.exit("this would change the host: run it in a jail, or by unshare --user --map-root-user --mount")
    print(
        json.dumps(
            {
                "uid": os.getuid(),
                "mount": attempt(mount),
                "name the host": attempt(lambda: socket.sethostname(socket.gethostname())),
                "raw socket": attempt(raw_socket),
                "chroot": attempt(lambda: os.chroot("/")),
            }
        )
    )
