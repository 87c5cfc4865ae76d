"""A filter that notifies of calls does so where it would let them pass, and weakens no refusal."""

from __future__ import annotations

import errno

import pyseccomp
import pytest
from bpf import ALLOW, ERRNO, KILL_PROCESS, USER_NOTIFICATION, run

from libos.syscalls import Wanted, compiling, tables

NAMED = frozenset(["mkdir", "mkdirat", "socket", "openat", "mount", "clone"])
MACHINE = compiling.machine()


def returned(program: bytes, call: str, *arguments: int) -> int:
    number = pyseccomp.resolve_syscall(pyseccomp.system_arch(), call)
    return run(program, MACHINE, number, arguments)


@pytest.mark.parametrize("profile", tables.profile_names())
def test_what_passed_notifies_and_what_was_refused_stays_refused(profile: str) -> None:
    plain, notifying = compiling.program(Wanted(profile)), compiling.program(Wanted(profile), notified=NAMED)
    for number in range(700):
        for arguments in ([0] * 6, [1] * 6, [40] * 6, [17] * 6, [0, 0, 0o100, 0o4755, 0, 0]):
            before, after = (run(each, MACHINE, number, arguments) for each in (plain, notifying))
            named = compiling_name(number) in NAMED
            assert after == (USER_NOTIFICATION if before == ALLOW and named else before)


def compiling_name(number: int) -> str:
    try:
        found = pyseccomp.resolve_syscall(pyseccomp.system_arch(), number)
    except ValueError:
        return ""
    return found.decode() if found else ""


def test_checks_of_arguments_come_before_the_question() -> None:
    program = compiling.program(Wanted(), notified=NAMED)
    assert returned(program, "socket", 2, 1) == USER_NOTIFICATION
    assert returned(program, "socket", 40, 1) == ERRNO | errno.EAFNOSUPPORT
    assert returned(program, "mount") == ERRNO | errno.EPERM
    assert returned(program, "getpid") == ALLOW


def test_a_foreign_abi_ends_the_process_all_the_same() -> None:
    program = compiling.program(Wanted(), notified=NAMED)
    assert {run(program, "i386", number) for number in range(700)} == {KILL_PROCESS}
