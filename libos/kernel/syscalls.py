"""One way into the kernel for calls that Python does not have.

`call` goes through a library handle that releases the interpreter's lock, so a slow path never stops other
threads. `call_holding_gil` keeps it: clone(2) returns twice, and only the single-threaded keeper uses it.
"""

from __future__ import annotations

import ctypes
import os

# syscall(2) takes a number and at most six words here. Python's argument objects are expensive, so the types
# are declared once: a pointer is passed as a word, and what it points to is kept alive by the caller.
_WORDS = 6
_releasing = ctypes.CDLL(None, use_errno=True).syscall
_holding = ctypes.PyDLL(None, use_errno=True).syscall
for _function in (_releasing, _holding):
    _function.restype = ctypes.c_long
    _function.argtypes = [ctypes.c_long] * (1 + _WORDS)
_PADDING = (0,) * _WORDS

# Numbers below 424 differ by architecture.
# Source: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h.
_NUMBERS = {
    "x86_64": {
        "mount": 165,
        "umount2": 166,
        "pivot_root": 155,
        "unshare": 272,
        "setns": 308,
        "prctl": 157,
        "capset": 126,
        "clone": 56,
        "seccomp": 317,
    },
    "aarch64": {
        "mount": 40,
        "umount2": 39,
        "pivot_root": 41,
        "unshare": 97,
        "setns": 268,
        "prctl": 167,
        "capset": 91,
        "clone": 220,
        "seccomp": 277,
    },
}
# From 424 on all architectures share one list.
_COMMON = {
    "pidfd_send_signal": 424,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "pidfd_open": 434,
    "close_range": 436,
    "openat2": 437,
    "pidfd_getfd": 438,
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}


def _numbers_here() -> dict[str, int]:
    machine = os.uname().machine
    if machine not in _NUMBERS:
        raise ImportError(f"libos knows the system calls of {', '.join(_NUMBERS)}, not of {machine}")
    return _NUMBERS[machine] | _COMMON


NUMBER = _numbers_here()

Argument = int | bytes | ctypes.Array[ctypes.c_char] | None


def call(doing: str, name: str, *arguments: Argument) -> int:
    """Do the system call `name` and give its result.

    Arguments are integers, bytes or a buffer (passed as a pointer to them), and None (NULL). Raises
    `OSError` with the kernel's errno and a text that begins with `doing`. syscall(2).
    """
    words = [each if each.__class__ is int else _word(each) for each in arguments]
    return _checked(doing, _releasing(NUMBER[name], *words, *_PADDING[len(words) :]))


def call_holding_gil(doing: str, name: str, *arguments: Argument) -> int:
    """Do the system call without releasing the interpreter's lock; else as `call`."""
    words = [_word(each) for each in arguments]
    return _checked(doing, _holding(NUMBER[name], *words, *_PADDING[len(words) :]))


def _checked(doing: str, result: int) -> int:
    if result < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{doing}: {os.strerror(errno)}")
    return result


def _word(argument: Argument) -> int:
    if argument is None:
        return 0
    if isinstance(argument, bytes):
        return ctypes.cast(ctypes.c_char_p(argument), ctypes.c_void_p).value or 0
    if isinstance(argument, ctypes.Array):
        return ctypes.addressof(argument)
    return int(argument)
