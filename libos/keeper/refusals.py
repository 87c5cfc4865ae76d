"""Tells of refused system calls, in the process that answers a world's notifications (hearing.py).

Rules:
- A filter that tells notifies of what it would refuse, and of nothing else. Who made the call waits until it
  is answered here: with the errno that the filter would have given, or, where refusals pass, by letting it
  go on.
- Its listener is handed over by the program's own child, right before execve(2), under a filter that may
  allow no more than read and write: the child says which descriptor the listener is, this process copies it
  by pidfd_getfd(2), and says when it has it.
- What is told is bounded: for each call and errno the first refusal at once, then each time that their number
  has doubled, as a record with how many there were since; of numbers that no call has, 2048 at most. What a
  full pipe does not take is told with the next one; what came after the last doubling is not told.
- A program that ends this process gets ENOSYS in place of every answer, also where refusals pass.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections import Counter
from contextlib import suppress
from typing import Any

from libos.kernel import notifications

# A record: number, errno (0: it passed), process, how many since the last record, six arguments.
RECORD = struct.Struct("=iiII6Q")
# struct ucred: process, user, group. unix(7), SO_PEERCRED.
_CREDENTIALS = struct.Struct("iii")
_COPIED = b"+"
# Different calls counted singly; numbers that no call has are then counted as one, of this number.
_MOST = 2048
_OTHERS = -1


def offer(intake_fd: int) -> int:
    """In a program's child: give the end of a pair whose other end the answering process has. Takes over
    `intake_fd`. Raises OSError."""
    ours, theirs = socket.socketpair()
    with socket.socket(fileno=intake_fd) as intake, theirs:
        socket.send_fds(intake, [b"\1"], [theirs.fileno()])
    return ours.detach()


def load(program: bytes, end_fd: int) -> None:
    """Load a telling filter and wait until its listener has been copied. Raises OSError."""
    listener_fd = notifications.install(program)
    os.write(end_fd, str(listener_fd).encode())
    if os.read(end_fd, 1) != _COPIED:
        raise OSError(errno.ESRCH, "nobody answers for refused system calls")


def take(end: socket.socket) -> int | None:
    """The listener that the process at the other end has just said to have; None where it has gone."""
    said = end.recv(16)
    if not said:
        return None
    pid, _, _ = _CREDENTIALS.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    pidfd = os.pidfd_open(pid)
    try:
        listener_fd = notifications.descriptor_of(pidfd, int(said))
    finally:
        os.close(pidfd)
    end.send(_COPIED)
    return listener_fd


class Refusals:
    """How refused calls are answered, and the pipe on which they are told, which never blocks."""

    def __init__(self, answers: dict[str, Any], tell_fd: int) -> None:
        self._errors = {int(number): errors for number, errors in answers["errors"].items()}
        self._passes = answers["pass"]
        self._tell_fd = tell_fd
        self._seen: Counter[tuple[int, int]] = Counter()
        self._told: Counter[tuple[int, int]] = Counter()

    def refuse(self, listener_fd: int, heard: notifications.Notification) -> None:
        """Answer a call and tell of it. Raises OSError: ENOENT where who called has gone."""
        error = 0 if self._passes else self.error(heard)
        self.tell(heard, error)
        if self._passes:
            notifications.let_continue(listener_fd, heard.id)
        else:
            notifications.answer(listener_fd, heard.id, error)

    def error(self, heard: notifications.Notification) -> int:
        """The errno with which the filter would have answered."""
        for error, cube in self._errors.get(heard.number, ()):
            if all(heard.arguments[at] & mask == value for at, mask, value in cube):
                return int(error)
        return errno.ENOSYS

    def tell(self, heard: notifications.Notification, error: int) -> None:
        """Tell of a call and its answer, where it is time to. Never waits."""
        number = heard.number
        if number not in self._errors and len(self._seen) >= _MOST:
            number = _OTHERS
        key = (number, error)
        self._seen[key] += 1
        since = self._seen[key] - self._told[key]
        if since < max(1, self._told[key]):
            return
        record = RECORD.pack(number, error, heard.thread, min(since, 0xFFFF_FFFF), *heard.arguments)
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(self._tell_fd, record)
            self._told[key] = self._seen[key]
