"""How much was recorded while a program is learned, on a terminal, by a clock of ours."""

from __future__ import annotations

import os
import subprocess
import sys

# Events that come a third of a second after one another, and one after the app has ended.
PROGRAM = """
import sys, time
clock = iter(range(100))
time.monotonic = lambda: next(clock) / 3
from libos.cli.learning_progress import Progress
from libos.events import Event
from libos.learning.observed import Observed
observed = Observed()
progress = Progress(observed, shown=sys.argv[1] == "shown")
for number in range(7):
    progress.note(Event("dial.open", "world", {"address": f"tcp!a!{number}"}))
progress.note(Event("app.exit", "world", {"seconds": 2.5}))
for number in range(7):
    progress.note(Event("dial.open", "world", {"address": f"tcp!b!{number}"}))
progress.end()
assert len(observed.dials) == 14 and observed.seconds == 2.5
"""


def written(shown: str) -> str:
    """What is written to a terminal."""
    ours_fd, theirs_fd = os.openpty()
    try:
        done = subprocess.run([sys.executable, "-c", PROGRAM, shown], stderr=theirs_fd, timeout=50)
        assert done.returncode == 0
        os.write(theirs_fd, b"END")
        return os.read(ours_fd, 4096).decode().removesuffix("END")
    finally:
        os.close(ours_fd)
        os.close(theirs_fd)


def test_a_line_a_second_is_shown_and_taken_away_when_the_app_ends() -> None:
    lines = [
        f"\r\x1b[Klibos: recorded until now: 0 paths, {count} addresses, 0 system calls" for count in (3, 6)
    ]
    assert written("shown") == "".join(lines) + "\r\x1b[K"


def test_nothing_is_shown_where_the_app_has_the_terminal() -> None:
    assert written("not") == ""


def test_nothing_is_written_where_standard_error_is_no_terminal() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, "shown"], capture_output=True, timeout=50)
    assert (done.returncode, done.stderr) == (0, b"")
