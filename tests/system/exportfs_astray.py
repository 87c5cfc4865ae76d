"""`libos exportfs` whose lookups follow links: `exportfs_astray.py enclosed|open` and its words.

RESOLVE_BENEATH and O_NOFOLLOW are taken away where host trees look names up, as a fault there or a race that
is won would do.
"""

from __future__ import annotations

import os
import sys

from libos.cli import enclosing
from libos.cli.exportfs_command import command
from libos.fs import host


def _led(directory_fd: int, name: bytes) -> int:
    return os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=directory_fd)


def main() -> None:
    """Serve."""
    host.open_path = _led  # type: ignore[attr-defined]  # what the test is about
    if sys.argv[1] == "open":
        enclosing.confine_to = lambda needs: False
    command.main(sys.argv[2:])


if __name__ == "__main__":
    main()
