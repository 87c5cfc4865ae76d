"""Code of one origin: asks for permissions, goes on when one is refused, starts code of another origin."""

from __future__ import annotations

import subprocess

from permissions import AccessControlError, FilePermission

WANTED = [
    FilePermission("/gallery/duke", "read"),
    FilePermission("/scores/today", "create"),
    FilePermission("/scores/today", "write"),
    FilePermission("/private/diary", "read"),
]


def main() -> None:
    """A line for each permission, then one for what the other code could do."""
    for each in WANTED:
        try:
            each.check()
        except AccessControlError as error:
            print(error.strerror)
        else:
            print(f"granted ({each})")
    try:
        with open("/private/diary") as file:
            print(file.read())
    except PermissionError:
        print("reading it all the same: Permission denied")
    reads = "read -r line < /private/diary && echo $line"
    done = subprocess.run(["sh", "-c", reads], capture_output=True, check=False)
    print(f"code of another origin: {done.stdout.decode().strip() or 'access denied'}")


if __name__ == "__main__":
    main()
