"""Rewrites the path that one of its threads has given to open(2), as soon as somebody has looked at it.

The calls of umask put both in order: the first returns once the path was looked at, the second lets the
answer go. Prints what it then reads, as JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import threading

libc = ctypes.CDLL(None, use_errno=True)
path = ctypes.create_string_buffer(b"/public", 64)


def rewrite() -> None:
    """The other thread."""
    libc.umask(1)
    path.value = b"/secret"
    libc.umask(2)


if __name__ == "__main__":
    thread = threading.Thread(target=rewrite)
    thread.start()
    fd = libc.open(path, os.O_RDONLY)
    thread.join()
    print(json.dumps(os.read(fd, 100).decode() if fd >= 0 else "refused"))
