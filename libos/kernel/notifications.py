"""seccomp's user notifications: a system call of a program waits until another process answers for it.

seccomp_unotify(2). A listener is the descriptor by which a filter's notifications are received; a task has at
most one filter with a listener, and what adds another gets EBUSY.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import struct
from typing import NamedTuple

from libos.kernel.process import BPF_INSTRUCTION_BYTES
from libos.kernel.syscalls import call

# linux/seccomp.h
_SET_MODE_FILTER = 1
_NEW_LISTENER = 1 << 3
# The call is not restarted by signals once it was received: Linux 5.19.
_WAIT_KILLABLE = 1 << 5
_RET_USER_NOTIF = 0x7FC0_0000
_RET_ALLOW = 0x7FFF_0000
_CONTINUE = 1
# _IOWR('!', 0, struct seccomp_notif), _IOWR('!', 1, struct seccomp_notif_resp), _IOW('!', 2, __u64)
_RECEIVE, _SEND, _IS_VALID = 0xC050_2100, 0xC018_2101, 0x4008_2102
# struct seccomp_notif: id, pid, flags; struct seccomp_data: number, architecture, instruction, six arguments.
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
# struct seccomp_notif_resp: id, value, error, flags.
_RESPONSE = struct.Struct("=QqiI")
# By machine: its AUDIT_ARCH (linux/audit.h), and the number of listen(2).
_LISTEN = {"x86_64": (0xC000_003E, 50), "aarch64": (0xC000_00B7, 201)}
# _IOW('!', 3, struct seccomp_notif_addfd): id, flags, descriptor here, number there, its flags.
_GIVE, _GIVEN = 0x4018_2103, struct.Struct("=QIIII")
# Answer with the number in one step, so that no call is answered twice or not at all: Linux 5.14.
_GIVE_AND_SEND = 1 << 1
_INSTRUCTION = struct.Struct("=HBBI")
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ARCHITECTURE_AT, _NUMBER_AT = 4, 0
_EINVAL = 22


class Notification(NamedTuple):
    """A call that waits: `id` names it, `thread` is who called (0 where it is not visible from here), and
    `number` which call it is."""

    id: int
    thread: int
    arguments: tuple[int, ...]
    number: int = -1


def listen_filter() -> bytes:
    """A filter that notifies of listen(2) by the machine's own ABI and lets all else pass."""
    architecture, number = _LISTEN[os.uname().machine]
    program = (
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 0, 3, architecture),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_EQUAL, 0, 1, number),
        (_RETURN, 0, 0, _RET_USER_NOTIF),
        (_RETURN, 0, 0, _RET_ALLOW),
    )
    return b"".join(_INSTRUCTION.pack(*each) for each in program)


def listen_number() -> int:
    """The number of listen(2) on this machine."""
    return _LISTEN[os.uname().machine][1]


def install(program: bytes) -> int:
    """Load a filter and give its listener, which the caller owns. Needs no_new_privs. Raises OSError."""
    buffer = ctypes.create_string_buffer(program, len(program))
    count = len(program) // BPF_INSTRUCTION_BYTES
    head = ctypes.create_string_buffer(struct.pack("@HP", count, ctypes.addressof(buffer)))
    try:
        return call(
            "load a notifying filter", "seccomp", _SET_MODE_FILTER, _NEW_LISTENER | _WAIT_KILLABLE, head
        )
    except OSError as error:
        if error.errno != _EINVAL:
            raise
    return call("load a notifying filter", "seccomp", _SET_MODE_FILTER, _NEW_LISTENER, head)


def receive(listener_fd: int) -> Notification:
    """Take one notification; waits for it. Raises OSError: ENOENT where the caller has gone meanwhile."""
    buffer = bytearray(_NOTIFICATION.size)
    fcntl.ioctl(listener_fd, _RECEIVE, buffer)
    cookie, thread, _, number, _, _, *arguments = _NOTIFICATION.unpack(buffer)
    return Notification(cookie, thread, tuple(arguments), number)


def is_valid(listener_fd: int, number: int) -> bool:
    """Whether the caller still waits: what was found out about its thread is then about it."""
    try:
        fcntl.ioctl(listener_fd, _IS_VALID, struct.pack("=Q", number))
    except OSError:
        return False
    return True


def let_continue(listener_fd: int, number: int) -> None:
    """Let the kernel do the call itself. Raises OSError: ENOENT where the caller has gone."""
    fcntl.ioctl(listener_fd, _SEND, _RESPONSE.pack(number, 0, 0, _CONTINUE))


def answer(listener_fd: int, number: int, error: int) -> None:
    """Answer in the kernel's place: 0, or an errno. Raises OSError: ENOENT where the caller has gone."""
    fcntl.ioctl(listener_fd, _SEND, _RESPONSE.pack(number, 0, -error, 0))


def answer_with(listener_fd: int, number: int, value: int) -> None:
    """Answer with what the call is to give. Raises OSError: ENOENT where the caller has gone."""
    fcntl.ioctl(listener_fd, _SEND, _RESPONSE.pack(number, value, 0, 0))


def answer_descriptor(listener_fd: int, number: int, fd: int, *, cloexec: bool) -> int:
    """Put a copy of `fd` among the caller's descriptors, and answer with its number there, which comes back.

    Linux 5.14. Raises OSError: ENOENT where the caller has gone, EMFILE where it may have no more.
    """
    # Mutable: for what is not, ioctl gives the buffer back in place of the number.
    given = bytearray(_GIVEN.pack(number, _GIVE_AND_SEND, fd, 0, os.O_CLOEXEC if cloexec else 0))
    return int(fcntl.ioctl(listener_fd, _GIVE, given))


def is_waiting(listener_fd: int) -> bool | None:
    """Whether a call waits to be received; None where no process has the filter any more. Never waits."""
    poll = select.poll()
    poll.register(listener_fd, select.POLLIN)
    events = dict(poll.poll(0)).get(listener_fd, 0)
    return True if events & select.POLLIN else None if events else False


def descriptor_of(pidfd: int, number: int) -> int:
    """A copy of another process's descriptor. pidfd_getfd(2). Raises OSError."""
    return call("copy a descriptor", "pidfd_getfd", pidfd, number, 0)
