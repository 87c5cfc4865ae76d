"""Does a signal wait for a thread that stands in a system call?

FUSE tells its server by FUSE_INTERRUPT, which pyfuse3 does not hand on; /proc/<tid>/status shows the same. A
signal counts when it is pending and would be delivered: neither blocked nor ignored. Stop signals do not
count: after `fg` a program does not expect its read to have failed. proc_pid_status(5), signal(7).

Where the caller of a request is not known (a read by a descriptor that another process opened), `look`
looks at every thread of the machine that waits for a FUSE reply with a signal pending. The same look finds
who was killed while it stands behind such a request, at a lock of the kernel that even SIGKILL does not end:
one write at a time enters a file, and one read or write an open file whose descriptor is shared.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_STOPS = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCONT)
_NEVER = sum(1 << (number - 1) for number in _STOPS)
# Where the kernel waits for the reply to a request: linux/fs/fuse/dev.c.
_WAITING = b"request_wait_answer"
# Where it waits for another request on the same file, uninterruptibly: the position's lock in
# linux/fs/file.c, or the inode's in linux/fs/fuse/file.c, whose functions a compiler may inline.
_BEHIND = (b"fdget_pos", b"fuse_file_write_iter", b"fuse_direct_write_iter", b"fuse_dio_lock")


class Stuck(NamedTuple):
    """A thread that has a signal, and cannot take it before a request about the inode `number` is answered:
    its own, or, `behind`, that of somebody else."""

    thread: int
    number: int
    behind: bool


class Look(NamedTuple):
    """What was seen of all threads at one moment."""

    stuck: list[Stuck]
    waiting: set[int]


def deliverable(status: bytes) -> bool:
    """Whether this text of /proc/<tid>/status shows a signal that would be delivered at once."""
    return bool(_pending(status) & ~_NEVER)


def killed(status: bytes) -> bool:
    """Whether it shows SIGKILL."""
    return bool(_pending(status) & 1 << (signal.SIGKILL - 1))


def _pending(status: bytes) -> int:
    """The signals that are pending and neither blocked nor ignored."""
    masks = dict.fromkeys((b"SigPnd", b"ShdPnd", b"SigBlk", b"SigIgn"), 0)
    for line in status.splitlines():
        key, _, value = line.partition(b":")
        if key in masks:
            masks[key] = int(value, 16)
    return (masks[b"SigPnd"] | masks[b"ShdPnd"]) & ~masks[b"SigBlk"] & ~masks[b"SigIgn"]


def wanted(thread: int) -> bool:
    """Whether a signal waits for a thread; False for a thread that is gone or not known (0)."""
    return deliverable(_read(f"/proc/{thread}/status"))


def look(openers: Iterable[int]) -> Look:
    """All threads that are stuck, and which of the `openers` wait for the reply to a FUSE request themselves.
    Blocks for as long as it takes to look at every thread that may be looked at: ptrace(2), access mode."""
    found = [each for task in _tasks() if (each := _look(task)) is not None]
    return Look(found, {thread for thread in openers if _WAITING in _read(f"/proc/{thread}/wchan")})


def _tasks() -> Iterator[str]:
    for process in os.listdir("/proc"):
        if process.isdigit():
            try:
                threads = os.listdir(f"/proc/{process}/task")
            except OSError:
                continue
            yield from (f"/proc/{process}/task/{thread}" for thread in threads)


def _look(task: str) -> Stuck | None:
    place = _read(f"{task}/wchan")
    behind = any(name in place for name in _BEHIND)
    if not behind and _WAITING not in place:
        return None
    status = _read(f"{task}/status")
    if not (killed(status) if behind else deliverable(status)):
        return None
    number = _inode(task)
    return Stuck(int(task.rpartition("/")[2]), number, behind) if number else None


def _inode(task: str) -> int:
    """The inode number of the descriptor that a thread's system call has as its first argument, else 0."""
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
