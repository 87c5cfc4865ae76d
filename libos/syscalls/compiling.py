"""A filter compiled by libseccomp: its rules added, its program taken as bytes.

Rules for one call never overlap (cubes.py), so their order says nothing. libseccomp sorts the calls into a
binary tree: a call costs some ten comparisons, and loading is quicker too, since the kernel tries every
number once to find those that always pass. A call by a foreign ABI (i386, x32) ends the process: not its
thread, which others would outlive.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from libos.syscalls.cubes import EVERYTHING, Cube, both
from libos.syscalls.resolving import Rule, resolve
from libos.syscalls.wanted import DEFAULT, Wanted

# seccomp_attr_set(3): sort system calls into a binary tree (libseccomp 2.5).
_BINARY_TREE = 2


# The profiles as they are, compiled: one file a profile and machine, made by scripts/compile-filters. A start
# that needs nothing else then loads no libseccomp, which takes some 30 ms.
_COMPILED = Path(__file__).parent / "compiled"
# Machines by uname(2), and libseccomp's names of them.
MACHINES = {"x86_64": "X86_64", "aarch64": "AARCH64"}


@cache
def program(wanted: Wanted, *, notified: frozenset[str] = frozenset()) -> bytes:
    """Give the filter as sock_filter instructions, made once for each value.

    It notifies of the `notified` calls where it would let them pass, seccomp_unotify(2): what it refuses
    stays refused. Where refusals are told it notifies of these too, in place of answering. Raises ValueError
    as `resolve` does, and OSError where libseccomp cannot make it.
    """
    if not notified and _is_compiled(wanted):
        return compiled_path(wanted.profile, machine()).read_bytes()
    return compiled(wanted, machine(), notified=notified)


def prepare(wanted: Wanted) -> None:
    """Find libseccomp where `program` will want it: pyseccomp starts programs to find it
    (ctypes.util.find_library), which a process that goes behind Landlock cannot do any more."""
    if not _is_compiled(wanted):
        with suppress(ImportError, RuntimeError, OSError):  # who uses it says what is wrong
            import pyseccomp  # noqa: F401


def _is_compiled(wanted: Wanted) -> bool:
    """Whether it is a profile as it is, and known for this machine."""
    return wanted == Wanted(wanted.profile) and compiled_path(wanted.profile, machine()).exists()


def machine() -> str:
    """This machine, as uname(2) calls it."""
    return os.uname().machine


def compiled_path(profile: str, machine: str) -> Path:
    """Where a profile stands compiled."""
    return _COMPILED / f"{profile}.{machine}.bpf"


def compiled(wanted: Wanted, machine: str, *, notified: frozenset[str] = frozenset()) -> bytes:
    """Compile a filter for a machine. Raises ValueError and OSError as `program` does."""
    import pyseccomp as seccomp

    made = _Compiler(seccomp, machine, notified, tells=bool(wanted.log))
    for rule in resolve(wanted).rules:
        made.add(rule)
    return made.export()


def compiled_here() -> bytes:
    """Compile the default profile for this machine. Raises OSError."""
    return compiled(DEFAULT, machine())


class _Compiler:
    """libseccomp's filter. pyseccomp has no types."""

    def __init__(self, seccomp: Any, machine: str, notified: frozenset[str], *, tells: bool) -> None:
        self._seccomp = seccomp
        self._tells = tells
        self._notified = notified
        self._machine = getattr(seccomp.Arch, MACHINES[machine])
        self._filter = seccomp.SyscallFilter(seccomp.NOTIFY if tells else seccomp.ERRNO(errno.ENOSYS))
        if self._machine != seccomp.system_arch():
            self._filter.add_arch(self._machine)
            self._filter.remove_arch(seccomp.system_arch())
        self._filter.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.KILL_PROCESS)
        self._filter.set_attr(seccomp.Attr.CTL_OPTIMIZE, _BINARY_TREE)

    def add(self, rule: Rule) -> None:
        """Add what a call gets; one that this machine or its libseccomp does not have is ENOSYS as it is."""
        if self._seccomp.resolve_syscall(self._machine, rule.call) < 0:
            return
        if not rule.allowed:
            self._answer(rule.call, rule.error, EVERYTHING)
            return
        passing: tuple[Cube, ...] = (EVERYTHING,)
        for check in rule.checks:
            for cube in both(passing, check.partition.failing):
                self._answer(rule.call, check.error, cube)
            passing = both(passing, check.partition.passing)
        if rule.call not in self._notified:
            action = self._seccomp.ALLOW
        elif self._tells:
            return  # what it answers anyway
        else:
            action = self._seccomp.NOTIFY
        for cube in passing:
            self._add(action, rule.call, cube)

    def _answer(self, call: str, error: str, cube: Cube) -> None:
        if error != "ENOSYS" and not self._tells:  # else what is answered anyway is right
            self._add(self._seccomp.ERRNO(getattr(errno, error)), call, cube)

    def _add(self, action: int, call: str, cube: Cube) -> None:
        matched = [
            self._seccomp.Arg(argument, self._seccomp.MASKED_EQ, mask, value)
            for argument, (mask, value) in cube.items()
        ]
        self._filter.add_rule(action, call, *matched)

    def export(self) -> bytes:
        with os.fdopen(os.memfd_create("filter", os.MFD_CLOEXEC), "w+b") as file:
            self._filter.export_bpf(file)
            file.seek(0)
            return file.read()
