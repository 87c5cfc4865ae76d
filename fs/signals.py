"""Does a signal wait for a thread that stands in a system call?

FUSE tells its server by FUSE_INTERRUPT, which pyfuse3 does not hand on; /proc/<tid>/status shows the same. A
signal counts when it is pending and would be delivered: neither blocked nor ignored. Stop signals do not
count: after `fg` a program does not expect its read to have failed. proc_pid_status(5), signal(7).

Where the caller of a request is not known (a read by a descriptor that another process opened), `stuck`
looks at every thread of the machine that waits for a FUSE reply with a signal pending.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

_STOPS = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCONT)
_NEVER = sum(1 << (number - 1) for number in _STOPS)
# Where the kernel waits for the reply to a request: linux/fs/fuse/dev.c.
_WAITING = b"request_wait_answer"


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
    return deliverable(_read(f"/proc/{thread}/status"))


def stuck() -> set[int]:
    """The inode numbers on whose descriptors some thread waits for FUSE with a signal pending. Blocks for as
    long as it takes to look at every thread that may be looked at."""
    return {number for task in _tasks() if (number := _inode(task))}


def _tasks() -> Iterator[str]:
    for process in os.listdir("/proc"):
        if process.isdigit():
            try:
                threads = os.listdir(f"/proc/{process}/task")
            except OSError:
                continue
            yield from (f"/proc/{process}/task/{thread}" for thread in threads)


def _inode(task: str) -> int:
    """The inode number of the descriptor that a stuck thread's system call has as its first argument, else
    0."""
    if _WAITING not in _read(f"{task}/wchan") or not deliverable(_read(f"{task}/status")):
        return 0
    words = _read(f"{task}/syscall").split()
    if len(words) < 2:
        return 0
    for line in _read(f"{task}/fdinfo/{int(words[1], 16)}").splitlines():
        key, _, value = line.partition(b":")
        if key == b"ino":
            return int(value)
    return 0


def _read(path: str) -> bytes:
    """A file of /proc, or nothing."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
