"""Hears when a program of the world begins to listen, and, where that was asked for, which calls are refused
it (refusals.py): a small process of the world, beside its init.

Rules:
- It is there only where the supervisor wants to know, and is a hint to it, never a decision: what it says is
  that one may look at the sockets now (`libos.net.diag`).
- A filter on each program notifies of listen(2) and nothing else (`libos.kernel.notifications`). This
  process then does the call on the program's own socket and gives its result, for a TCP socket: so the hint
  comes when the socket listens, not when it is about to. Any other socket, and whatever is not plain, goes on
  in the kernel: the listener of a unix socket has the credentials of who called listen(2).
- It is no part of init, so that a program that makes it wait (a socket that lingers, a file of a slow
  filesystem) delays its own calls of listen(2) alone. It ends with the pid namespace, as everything does; a
  program that kills it gets ENOSYS from listen(2) from then on.
- Hints go into a pipe that is never waited for: when it is full, one is there already.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
from contextlib import suppress
from typing import Any

from libos.keeper.refusals import Refusals, take
from libos.kernel import notifications, process

# pidfd_open(2): a thread's own descriptors, Linux 6.9.
_PIDFD_THREAD = os.O_EXCL
# Places of its descriptors.
_INTAKE_FD, _HINTS_FD, _TELL_FD = 3, 4, 5
_LISTEN = notifications.listen_number()
_EINVAL = 22
_MOST_BACKLOG = 0x7FFF_FFFF


class Hearing:
    """What init holds of it. `intake` takes the listeners of filters, from each program's child."""

    def __init__(self, answers: dict[str, Any] | None = None) -> None:
        self._answers = answers
        self.intake, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Read by the supervisor.
        self.hints_fd, self._write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # Records of refused calls, where these are told; read by the supervisor too.
        self.refused_fd, self._tell_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def start(self) -> None:
        """Fork it. Raises OSError."""
        if os.fork() == 0:
            try:
                _become(self._theirs.detach(), self._write_fd, self._tell_fd, self._answers)
            finally:
                os._exit(1)
        self._theirs.close()
        os.close(self._write_fd)
        os.close(self._tell_fd)


def tell(intake_fd: int) -> None:
    """Load the filter on this process and what it will become, and hand its listener over. Raises OSError."""
    listener_fd = notifications.install(notifications.listen_filter())
    try:
        with socket.socket(fileno=intake_fd) as intake:
            socket.send_fds(intake, [b"\0"], [listener_fd])
    finally:
        os.close(listener_fd)


def _become(intake_fd: int, hints_fd: int, tell_fd: int, answers: dict[str, Any] | None) -> None:
    # First above all the places: no move overwrites one of them.
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _TELL_FD + 1) for fd in (intake_fd, hints_fd, tell_fd)]
    for fd, place in zip(high, (_INTAKE_FD, _HINTS_FD, _TELL_FD), strict=True):
        os.dup2(fd, place, inheritable=False)
    process.close_from(_TELL_FD + 1)
    signal.set_wakeup_fd(-1)
    process.set_name("libos hearing")
    refusals = None if answers is None else Refusals(answers, _TELL_FD)
    _serve(socket.socket(fileno=_INTAKE_FD), refusals)


def _serve(intake: socket.socket, refusals: Refusals | None) -> None:
    poll = select.poll()
    poll.register(intake, select.POLLIN)
    offered: dict[int, socket.socket] = {}  # ends of programs that will say which descriptor is the listener
    while True:
        for fd, events in poll.poll():
            if fd == intake.fileno():
                data, fds, _, _ = socket.recv_fds(intake, 1, 1)
                if not data:
                    return
                for each in fds:
                    poll.register(each, select.POLLIN)
                    if data == b"\1":
                        offered[each] = socket.socket(fileno=each)
            elif fd in offered:
                poll.unregister(fd)
                with offered.pop(fd) as end, suppress(OSError):
                    if (listener_fd := take(end)) is not None:
                        poll.register(listener_fd, select.POLLIN)
            elif events & select.POLLIN:
                _hear(fd, refusals)
            else:  # nobody has this filter any more
                poll.unregister(fd)
                os.close(fd)


def _hear(listener_fd: int, refusals: Refusals | None) -> None:
    with suppress(OSError):  # ENOENT: who called has gone
        heard = notifications.receive(listener_fd)
        if refusals is not None and heard.number != _LISTEN:
            refusals.refuse(listener_fd, heard)
            return
        try:
            error = listen_for(listener_fd, heard)
        except OSError:
            notifications.let_continue(listener_fd, heard.id)
        else:
            notifications.answer(listener_fd, heard.id, error)
    with suppress(BlockingIOError, BrokenPipeError):
        os.write(_HINTS_FD, b"\0")


def listen_for(listener_fd: int, heard: notifications.Notification) -> int:
    """Do a program's listen(2) and give its errno. Raises OSError where the kernel is to do it itself."""
    # Only 32 bits of an int count.
    number, backlog = heard.arguments[0] & 0xFFFF_FFFF, heard.arguments[1] & 0xFFFF_FFFF
    with socket.socket(fileno=_copy(heard.thread, number)) as its:
        plain = its.family in (socket.AF_INET, socket.AF_INET6) and its.type == socket.SOCK_STREAM
        if not plain or not notifications.is_valid(listener_fd, heard.id):
            raise OSError(_EINVAL, "not a TCP socket of a program that waits")
        try:
            its.listen(min(backlog, _MOST_BACKLOG))  # beyond net.core.somaxconn the kernel cuts it
        except OSError as error:
            return error.errno or _EINVAL
    return 0


def _copy(thread: int, number: int) -> int:
    """A copy of the descriptor `number` of a thread. Raises OSError."""
    try:
        pidfd = os.pidfd_open(thread, _PIDFD_THREAD)
    except OSError as error:
        if error.errno != _EINVAL:
            raise
        pidfd = os.pidfd_open(_leader(thread, number))
    try:
        return notifications.descriptor_of(pidfd, number)
    finally:
        os.close(pidfd)


def _leader(thread: int, number: int) -> int:
    """The thread group's leader, where its descriptor of this number is the same. Raises OSError."""
    with open(f"/proc/{thread}/status") as file:
        leader = next(int(line.split()[1]) for line in file if line.startswith("Tgid:"))
    if os.readlink(f"/proc/{thread}/fd/{number}") != os.readlink(f"/proc/{leader}/fd/{number}"):
        raise OSError(_EINVAL, "a thread with descriptors of its own")
    return leader
