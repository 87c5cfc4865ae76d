"""Tries attacks and says what each gave; runs in a world, and outside where the attack is shown to work.

An attack is a function without arguments. What it returns is its spoil, and it has worked; an OSError is the
answer that stopped it; `Nothing` says that all went through and nothing came of it. Rules:

- Each runs in a child of its own, with a session of its own, so that none hinders the next one; where it is
  shown to work, also with mounts, network and names of its own (OWN_NAMESPACES=1). One that does not end
  within PATIENCE is ended and counts as "hung".
- The answer is a line of JSON: names to "got ...", the name of an errno or a signal, "nothing: ...", "hung".
- SETTING is what the test tells: places, sockets, words.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import select
import signal
import sys
from collections.abc import Callable
from typing import Any

# Seconds that one attack may take; the machine may be busy.
PATIENCE = 20.0
SETTING: dict[str, Any] = json.loads(os.environ.get("SETTING", "{}"))

# CLONE_NEWNS, CLONE_NEWUTS and CLONE_NEWNET, clone(2).
_OWN = 0x20000 | 0x4000000 | 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

# System calls whose numbers differ between machines: x86-64's and the generic table's (aarch64, riscv64).
_NUMBERS = {
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "init_module": (175, 105),
    "delete_module": (176, 106),
    "quotactl": (179, 60),
    "acct": (163, 89),
    "adjtimex": (159, 171),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "personality": (135, 92),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "finit_module": (313, 273),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "userfaultfd": (323, 282),
    "fanotify_init": (300, 262),
    "setns": (308, 268),
    "unshare": (272, 97),
    "clone": (56, 220),
    "kcmp": (312, 272),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "move_pages": (279, 239),
    "seccomp": (317, 277),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "clone3": (435, 435),
    "openat2": (437, 437),
    "pidfd_getfd": (438, 438),
    "io_uring_setup": (425, 425),
    "mount_setattr": (442, 442),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
}


class Nothing(Exception):  # noqa: N818 - an outcome, no error
    """All went through, and nothing came of it."""


def call(name: str, *arguments: Any) -> int:
    """A raw system call by its name. Raises OSError with its errno."""
    number = _NUMBERS[name][0 if platform.machine() == "x86_64" else 1]
    # As longs: the upper half of an int on the stack is whatever was there.
    words = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return checked(libc.syscall(ctypes.c_long(number), *words), name)


def checked(result: int, name: str) -> int:
    """The result of a function of libc, or its errno as an OSError."""
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, name)
    return result


def past(expected: str, name: str, *arguments: Any) -> str:
    """A call with a wrong argument, which the kernel looks at once who asks may ask: answered with `expected`
    it went past every check of rights, and is a spoil."""
    try:
        call(name, *arguments)
    except OSError as error:
        if errno.errorcode.get(error.errno or 0) in expected.split():
            return f"past the checks of {name}"
        raise
    return f"{name} went through"


def outcome(attack: Callable[[], object]) -> str:
    """What one attack gave, in a child of its own."""
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_fd)
        os.setsid()
        if os.environ.get("OWN_NAMESPACES"):
            checked(libc.unshare(_OWN), "unshare")
        os.write(write_fd, _tried(attack).encode()[:4000])
        os._exit(0)
    os.close(write_fd)
    try:
        if not select.select([read_fd], [], [], PATIENCE)[0]:
            os.kill(pid, signal.SIGKILL)
            return "hung"
        said = os.read(read_fd, 4096).decode()
    finally:
        os.close(read_fd)
        _, status = os.waitpid(pid, 0)
    return said or (signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "no answer")


def _tried(attack: Callable[[], object]) -> str:
    try:
        return f"got {attack()!r}"
    except Nothing as nothing:
        return f"nothing: {nothing}"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, f"error {error}")
    except Exception as error:
        return f"broken: {type(error).__name__}: {error}"


def main(attacks: dict[str, Callable[[], object]]) -> None:
    """Try those that the command line names, or all."""
    names = sys.argv[1:] or list(attacks)
    print(json.dumps({name: outcome(attacks[name]) for name in names}))


def named(scope: dict[str, Any], module: str) -> dict[str, Callable[[], object]]:
    """The public functions of a module, by their names: its attacks."""
    return {
        name: each
        for name, each in scope.items()
        if callable(each) and not name.startswith("_") and getattr(each, "__module__", "") == module
    }
