"""Does a signal wait for a thread that stands in a system call?

FUSE tells its server by FUSE_INTERRUPT, which pyfuse3 does not hand on; /proc/<tid>/status shows the same.
A signal counts when it is pending and would be delivered: neither blocked nor ignored. Stop signals do not
count: after `fg` a program does not expect its read to have failed. proc_pid_status(5), signal(7).
"""

from __future__ import annotations

import signal

_STOPS = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCONT)
_NEVER = sum(1 << (number - 1) for number in _STOPS)


def deliverable(status: bytes) -> bool:
    """Whether this text of /proc/<tid>/status shows a signal that would be delivered at once."""
    masks = dict.fromkeys((b"SigPnd", b"ShdPnd", b"SigBlk", b"SigIgn"), 0)
    for line in status.splitlines():
        key, _, value = line.partition(b":")
        if key in masks:
            masks[key] = int(value, 16)
    pending = masks[b"SigPnd"] | masks[b"ShdPnd"]
    return bool(pending & ~masks[b"SigBlk"] & ~masks[b"SigIgn"] & ~_NEVER)


def wanted(thread: int) -> bool:
    """Whether a signal waits for a thread; False for a thread that is gone or not known (0)."""
    try:
        with open(f"/proc/{thread}/status", "rb") as file:
            return deliverable(file.read())
    except OSError:
        return False
