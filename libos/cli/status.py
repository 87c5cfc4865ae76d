"""Exit statuses: docker's for the launcher, the shell's for signals, timeout(1)'s for time. Pure."""

from __future__ import annotations

# What libos itself ends with; the app's own statuses are passed on as they are.
USAGE = 2
TIME_RAN_OUT = 124
LIBOS_FAILED = 125
# A shell's status for a signal is this plus its number.
_SIGNAL_BASE = 128


def exit_status(returncode: int, reason: str) -> int:
    """Give the status of `libos run` and `libos exec` for how the program ended.

    `returncode` is subprocess's (negative for a signal), `reason` one of "exit", "signal", "time",
    "killed", "lost".
    """
    if reason == "time":
        return TIME_RAN_OUT
    if reason == "lost":
        return LIBOS_FAILED
    return returncode if returncode >= 0 else _SIGNAL_BASE - returncode
