"""A short program in user and mount namespaces of its own, for calls that a test must not make here."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

_PRELUDE = """
import errno, os, socket, sys
from libos.kernel import files, mounts, namespaces, process, syscalls
uid, gid = os.getuid(), os.getgid()
namespaces.unshare(namespaces.CLONE_NEWUSER | namespaces.CLONE_NEWNS)
namespaces.write_id_maps("/proc/self", 0, uid, gid)
mounts.make_private()
"""


def run(program: str, *arguments: str | Path) -> str:
    """What the program prints. Its failure is the test's, with its traceback."""
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE + textwrap.dedent(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
