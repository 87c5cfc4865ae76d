"""The system calls that no app gets, as a filter in the kernel's own form.

A first wall, by name: what mounts, loads, traces the machine, opens files around the namespace, or reaches
large and young parts of the kernel answers EPERM. What programs try first and do without answers ENOSYS, so
that they fall back: clone3 to clone, whose flags a filter can read; openat2 to openat, whose mode it can.
libseccomp compiles it; calls by a foreign ABI of the machine (i386, x32) end the program.

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
from typing import Any

from libos.kernel import namespaces

# By what they are for. Names that this machine's libseccomp or architecture does not have are passed over.
_DENIED = {
    "mounts": "mount umount umount2 pivot_root chroot open_tree open_tree_attr move_mount fsopen fsconfig"
    " fsmount fspick mount_setattr setns",
    "young and large": "bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register"
    " lsm_set_self_attr fanotify_init fanotify_mark",
    "the kernel's own code": "kexec_load kexec_file_load init_module finit_module delete_module create_module"
    " query_module get_kernel_syms",
    "keyrings, which no namespace divides": "keyctl add_key request_key",
    "files around the namespace": "open_by_handle_at name_to_handle_at",
    "other processes": "kcmp pidfd_getfd process_vm_readv process_vm_writev process_madvise",
    "the machine": "reboot swapon swapoff acct quotactl quotactl_fd sethostname setdomainname settimeofday"
    " clock_settime clock_settime64 adjtimex clock_adjtime clock_adjtime64 stime iopl ioperm syslog vhangup",
    "memory placement": "move_pages migrate_pages mbind set_mempolicy set_mempolicy_home_node get_mempolicy",
    "obsolete": "lookup_dcookie nfsservctl uselib ustat sysfs _sysctl vm86 vm86old",
}
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
    """Give the filter as sock_filter instructions. Raises OSError where libseccomp cannot make it."""
    import pyseccomp as seccomp

    made = _Filter(seccomp)
    made.deny()
    made.check_arguments()
    made.keep_set_id_bits_off()
    return made.export()


# Where the mode stands among a call's arguments, chmod(2), open(2), mknod(2).
_MODES = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2, "creat": 1, "mknod": 1, "mknodat": 2}
_OPENS = {"open": (1, 2), "openat": (2, 3)}


class _Filter:
    """libseccomp's filter and this module's rules for it. pyseccomp has no types."""

    def __init__(self, seccomp: Any) -> None:
        self._seccomp = seccomp
        self._filter = seccomp.SyscallFilter(seccomp.ALLOW)
        self._refuse = seccomp.ERRNO(errno.EPERM)

    def _known(self, name: str) -> bool:
        return bool(self._seccomp.resolve_syscall(self._seccomp.system_arch(), name) >= 0)

    def _has(self, position: int, bits: int) -> Any:
        """Match where all of `bits` are set in an argument."""
        return self._seccomp.Arg(position, self._seccomp.MASKED_EQ, bits, bits)

    def deny(self) -> None:
        for name in filter(self._known, " ".join(_DENIED.values()).split()):
            self._filter.add_rule(self._refuse, name)
        for name in filter(self._known, _ABSENT):
            self._filter.add_rule(self._seccomp.ERRNO(errno.ENOSYS), name)

    def check_arguments(self) -> None:
        seccomp = self._seccomp
        for flag in _NEW_NAMESPACES:
            self._filter.add_rule(self._refuse, "clone", self._has(0, flag))
            self._filter.add_rule(self._refuse, "unshare", self._has(0, flag))
        for request in (termios.TIOCSTI, _TIOCLINUX):
            # The kernel reads 32 bits; comparing 64 would let a set upper half pass (CVE-2019-10063).
            only = seccomp.Arg(1, seccomp.MASKED_EQ, _LOW_32_BITS, request)
            self._filter.add_rule(self._refuse, "ioctl", only)
        for family in _FAMILIES:
            only = seccomp.Arg(
                0, seccomp.MASKED_EQ, _LOW_32_BITS, family
            )  # an int too: its upper half is cut off
            self._filter.add_rule(seccomp.ERRNO(errno.EAFNOSUPPORT), "socket", only)

    def keep_set_id_bits_off(self) -> None:
        for bit in (stat.S_ISUID, stat.S_ISGID):
            for name, position in _MODES.items():
                if self._known(name):
                    self._filter.add_rule(self._refuse, name, self._has(position, bit))
            for name, (flags, position) in _OPENS.items():
                if self._known(name):
                    for creating in (os.O_CREAT, os.O_TMPFILE):
                        creates = self._has(flags, creating)
                        self._filter.add_rule(self._refuse, name, creates, self._has(position, bit))

    def export(self) -> bytes:
        with tempfile.TemporaryFile() as file:
            self._filter.export_bpf(file)
            file.seek(0)
            return file.read()
