"""Exit statuses are docker's, the shell's and timeout's."""

from __future__ import annotations

import pytest

from libos.cli.status import exit_status


@pytest.mark.parametrize(
    ("returncode", "reason", "status"),
    [
        (0, "exit", 0),
        (7, "exit", 7),
        (255, "exit", 255),
        (-2, "signal", 130),
        (-15, "signal", 143),
        (-9, "killed", 137),
        (-9, "time", 124),
        (-9, "lost", 125),
    ],
)
def test_status_of_an_end(returncode: int, reason: str, status: int) -> None:
    assert exit_status(returncode, reason) == status
