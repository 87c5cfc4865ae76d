"""What a process may do: prctl(2), capset(2), close_range(2), pidfds, a seccomp filter given as bytes."""

from __future__ import annotations

import ctypes
import signal
import struct
from collections.abc import Collection
from contextlib import suppress

from libos.kernel.syscalls import Argument, call

# linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
SECCOMP_MODE_FILTER = 2
# linux/capability.h
CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_KILL, CAP_SETGID, CAP_SETUID = 0, 1, 3, 4, 5, 6, 7
CAP_NET_BIND_SERVICE, CAP_SYS_ADMIN, CAP_SETFCAP = 10, 21, 31

# capget(2): the header version for 64-bit sets
_CAPABILITY_VERSION_3 = 0x20080522
# include/uapi/linux/capability.h has 41 in Linux 6.18; the loop ends earlier where the kernel knows fewer.
_CAPABILITIES = 64
# Where arg_start stands in /proc/self/stat behind the command's name: field 48, of which two come before.
_ARG_START = 48 - 3
# A sock_filter: code, jump if true, jump if false, operand (linux/filter.h).
BPF_INSTRUCTION_BYTES = 8


def prctl(doing: str, option: int, *arguments: Argument) -> int:
    """Change this process as prctl(2) says. Missing arguments are zero."""
    return call(doing, "prctl", option, *arguments)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Get the signal when the thread that made this process ends. PR_SET_PDEATHSIG(2const)."""
    prctl("ask to die with the parent", PR_SET_PDEATHSIG, number)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends. PR_SET_CHILD_SUBREAPER(2const)."""
    prctl("adopt orphans", PR_SET_CHILD_SUBREAPER, 1)


def set_name(name: str) -> None:
    """Set what ps shows; 15 bytes count. PR_SET_NAME(2const)."""
    prctl("name the process", PR_SET_NAME, name.encode()[:15])


def set_command_line(text: str) -> None:
    """Overwrite this process's arguments as others read them: /proc/<pid>/cmdline, ps.

    Cut to the length that they have. proc_pid_cmdline(5); arg_start and arg_end are in proc_pid_stat(5).
    """
    with open("/proc/self/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    start, end = int(fields[_ARG_START]), int(fields[_ARG_START + 1])
    length = end - start
    ctypes.memmove(start, text.encode()[: length - 1].ljust(length, b"\0"), length)


def set_no_new_privileges() -> None:
    """No execve(2) from here on gives more than the process has. PR_SET_NO_NEW_PRIVS(2const)."""
    prctl("set no_new_privs", PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities(kept: Collection[int] = ()) -> None:
    """Empty all five capability sets of this process: bounding, ambient, and the three of capset(2); those
    that are `kept`, below 32, stay in the bounding, permitted and effective set. capabilities(7)."""
    with suppress(OSError):  # EINVAL: the kernel knows no further capability
        for capability in range(_CAPABILITIES):
            if capability not in kept:
                prctl("drop from the bounding set", PR_CAPBSET_DROP, capability)
    prctl("clear the ambient capabilities", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    mask = sum(1 << capability for capability in kept)
    # Effective, permitted, inheritable; then the same of the capabilities from 32 on.
    call("drop capabilities", "capset", header, struct.pack("=6I", mask, mask, 0, 0, 0, 0))


def permitted_capabilities() -> frozenset[int]:
    """The capabilities that this thread has. proc_pid_status(5)."""
    with open("/proc/thread-self/status") as file:
        mask = next(int(line.split()[1], 16) for line in file if line.startswith("CapPrm:"))
    return frozenset(number for number in range(_CAPABILITIES) if mask >> number & 1)


def load_seccomp_filter(program: bytes) -> None:
    """Load a BPF program (sock_filter instructions, 8 bytes each). Needs no_new_privs. seccomp(2)."""
    buffer = ctypes.create_string_buffer(program, len(program))
    count = len(program) // BPF_INSTRUCTION_BYTES
    head = ctypes.create_string_buffer(struct.pack("@HP", count, ctypes.addressof(buffer)))
    prctl("load the seccomp filter", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, head)


def close_from(first_fd: int) -> None:
    """Close every descriptor from `first_fd` on. close_range(2)."""
    call("close descriptors", "close_range", first_fd, 0x7FFFFFFF, 0)
