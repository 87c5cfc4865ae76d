"""The line that says how far something is, on a terminal and elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
from libos.cli.progress import StatusLine
line = StatusLine()
line.show("x" * 300)
line.show("run 2")
line.clear()
line.clear()
"""


def test_nothing_is_written_where_standard_error_is_no_terminal() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, timeout=50)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_terminal_has_one_line_that_is_replaced_and_taken_away() -> None:
    ours_fd, theirs_fd = os.openpty()
    try:
        done = subprocess.run([sys.executable, "-c", PROGRAM], stderr=theirs_fd, timeout=50)
        assert done.returncode == 0
        written = os.read(ours_fd, 4096).decode()
    finally:
        os.close(ours_fd)
        os.close(theirs_fd)
    assert written == f"\r\x1b[K{'x' * 79}\r\x1b[Krun 2\r\x1b[K"
