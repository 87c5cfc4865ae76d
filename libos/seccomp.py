"""The system calls that no app gets, as a filter in the kernel's own form.

A first wall, by name: what mounts, loads, traces the machine, opens files around the namespace, or
reaches large and young parts of the kernel answers EPERM; what programs try first and do without answers ENOSYS, so
that they fall back (clone3 to clone, whose flags a filter can read; openat2, whose mode it cannot). libseccomp
compiles it; foreign ABIs of the machine (i386, x32) are killed by its bad-architecture action.

A set-uid bit on a file that the app owns would outlive the world: chmod, open and mknod refuse to set it.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import tempfile
import termios
from functools import cache

from libos.kernel import namespaces

_DENIED = [
    "mount",
    "umount",
    "umount2",
    "pivot_root",
    "chroot",
    "open_tree",
    "open_tree_attr",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "setns",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "create_module",
    "query_module",
    "get_kernel_syms",
    "keyctl",
    "add_key",
    "request_key",
    "open_by_handle_at",
    "name_to_handle_at",
    "reboot",
    "swapon",
    "swapoff",
    "acct",
    "quotactl",
    "quotactl_fd",
    "sethostname",
    "setdomainname",
    "settimeofday",
    "clock_settime",
    "clock_settime64",
    "adjtimex",
    "clock_adjtime",
    "clock_adjtime64",
    "stime",
    "iopl",
    "ioperm",
    "syslog",
    "lookup_dcookie",
    "nfsservctl",
    "uselib",
    "ustat",
    "sysfs",
    "_sysctl",
    "vhangup",
    "vm86",
    "vm86old",
    "process_madvise",
    "move_pages",
    "migrate_pages",
    "mbind",
    "set_mempolicy",
    "set_mempolicy_home_node",
    "get_mempolicy",
    "kcmp",
    "pidfd_getfd",
    "process_vm_readv",
    "process_vm_writev",
    "fanotify_init",
    "fanotify_mark",
    "lsm_set_self_attr",
]

# ENOSYS, so that the C library and tools use the older call, whose arguments can be checked.
_ABSENT = ("clone3", "openat2")

# All CLONE_NEW* flags that clone(2) and unshare(2) take: new namespaces are new kernel surface.
_NEW_NAMESPACES = (
    namespaces.CLONE_NEWNS,
    namespaces.CLONE_NEWCGROUP,
    namespaces.CLONE_NEWUTS,
    namespaces.CLONE_NEWIPC,
    namespaces.CLONE_NEWUSER,
    namespaces.CLONE_NEWPID,
    namespaces.CLONE_NEWNET,
    0x80,  # CLONE_NEWTIME, linux/sched.h
)
# ioctl_tty(2): push input into a terminal that the caller's shell reads afterwards (CVE-2017-5226).
_TIOCLINUX = 0x541C
_LOW_32_BITS = 0xFFFFFFFF
_FAMILIES = (socket.AF_VSOCK, socket.AF_ALG)


@cache
def program() -> bytes:
    """Give the filter as sock_filter instructions for this machine. Raises OSError where libseccomp cannot."""
    import pyseccomp as seccomp

    made = seccomp.SyscallFilter(seccomp.ALLOW)
    _deny(made, seccomp)
    _check_arguments(made, seccomp)
    with tempfile.TemporaryFile() as file:
        made.export_bpf(file)
        file.seek(0)
        return file.read()


def _deny(made, seccomp) -> None:  # type: ignore[no-untyped-def] # pyseccomp has no types
    known = lambda name: seccomp.resolve_syscall(seccomp.system_arch(), name) >= 0  # noqa: E731
    for name in filter(known, _DENIED):
        made.add_rule(seccomp.ERRNO(errno.EPERM), name)
    for name in filter(known, _ABSENT):
        made.add_rule(seccomp.ERRNO(errno.ENOSYS), name)


def _check_arguments(made, seccomp) -> None:  # type: ignore[no-untyped-def] # pyseccomp has no types
    refuse = seccomp.ERRNO(errno.EPERM)
    has = lambda position, bits: seccomp.Arg(position, seccomp.MASKED_EQ, bits, bits)  # noqa: E731
    for flag in _NEW_NAMESPACES:
        made.add_rule(refuse, "clone", has(0, flag))
        made.add_rule(refuse, "unshare", has(0, flag))
    for request in (termios.TIOCSTI, _TIOCLINUX):
        # The kernel reads 32 bits of the request; comparing 64 would let a set upper half pass (CVE-2019-10063).
        made.add_rule(refuse, "ioctl", seccomp.Arg(1, seccomp.MASKED_EQ, _LOW_32_BITS, request))
    for family in _FAMILIES:
        made.add_rule(seccomp.ERRNO(errno.EAFNOSUPPORT), "socket", seccomp.Arg(0, seccomp.EQ, family))
    _keep_set_id_bits_off(made, seccomp)


# Where the mode stands among a call's arguments, chmod(2), open(2), mknod(2).
_MODES = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2, "creat": 1, "mknod": 1, "mknodat": 2}
_OPENS = {"open": (1, 2), "openat": (2, 3)}


def _keep_set_id_bits_off(made, seccomp) -> None:  # type: ignore[no-untyped-def] # pyseccomp has no types
    refuse = seccomp.ERRNO(errno.EPERM)
    for bit in (stat.S_ISUID, stat.S_ISGID):
        for name, position in _MODES.items():
            if seccomp.resolve_syscall(seccomp.system_arch(), name) >= 0:
                made.add_rule(refuse, name, seccomp.Arg(position, seccomp.MASKED_EQ, bit, bit))
        for name, (flags, position) in _OPENS.items():
            if seccomp.resolve_syscall(seccomp.system_arch(), name) < 0:
                continue
            creates = seccomp.Arg(flags, seccomp.MASKED_EQ, os.O_CREAT, os.O_CREAT)
            made.add_rule(refuse, name, creates, seccomp.Arg(position, seccomp.MASKED_EQ, bit, bit))
