"""The compiled filters answer what the data says, call by call: run in an interpreter, for both machines.

What the data says is judged here in the plainest way, value by value; the filters compare bits.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from functools import cache
from typing import Any

import pyseccomp
import pytest
from bpf import answer, is_whole
from hypothesis import given
from hypothesis import strategies as st

from libos.syscalls import Wanted, compiling, tables
from libos.syscalls.resolving import Rule, resolve

MACHINES = sorted(compiling.MACHINES)
PROFILES = tables.profile_names()
# Beyond every call that Linux has.
NUMBERS = range(700)


@cache
def raw_checks(profile: str) -> tuple[dict[str, Any], ...]:
    return (*tables._read("checks")["check"], *tables._read(profile).get("check", ()))


def passes(test: dict[str, Any], arguments: list[int]) -> bool:
    """Whether the arguments pass one test, as its keys are described in checks.toml."""
    value = arguments[test["argument"]] & 0xFFFF_FFFF
    if "without" in test:
        return not any(value & bit for bit in test["without"].values())
    if "any" in test:
        return any(value & bit for bit in test["any"].values())
    if "refuse" in test:
        return value not in test["refuse"].values()
    return value in (test.get("only") or test["is"]).values()


def expected(profile: str, rule: Rule, arguments: list[int]) -> int:
    if not rule.allowed:
        return int(getattr(errno, rule.error))
    for check in raw_checks(profile):
        if rule.call not in check["calls"].split():
            continue
        if "when" in check and not passes(check["when"], arguments):
            continue
        if not passes(check, arguments):
            return int(getattr(errno, check.get("error", "EPERM")))
    return 0


def numbers(machine: str) -> Iterator[tuple[int, str]]:
    """Each number of a machine, with the name that libseccomp has for it."""
    arch = getattr(pyseccomp.Arch, compiling.MACHINES[machine])
    for number in NUMBERS:
        try:
            name = pyseccomp.resolve_syscall(arch, number)
        except ValueError:
            name = None
        yield number, name.decode() if name else ""


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("profile", PROFILES)
def test_what_stands_compiled_is_what_the_data_says(profile: str, machine: str) -> None:
    rules = {rule.call: rule for rule in resolve(Wanted(profile)).rules}
    program = compiling.compiled_path(profile, machine).read_bytes()
    assert is_whole(program)
    wrong = {}
    for number, name in numbers(machine):
        wanted = expected(profile, rules[name], [0] * 6) if name in rules else errno.ENOSYS
        if answer(program, machine, number) != wanted:
            wrong[number] = name
    assert wrong == {}, "run scripts/compile-filters"


CHECKED = sorted(
    {call for profile in PROFILES for check in raw_checks(profile) for call in check["calls"].split()}
)


@cache
def words(profile: str) -> tuple[int, ...]:
    """Every value that a check names."""
    tests = [test for check in raw_checks(profile) for test in (check, check.get("when", {}))]
    named = [each for test in tests for key in ("without", "any", "refuse", "only", "is") if key in test
             for each in test[key].values()]  # fmt: skip
    return tuple(dict.fromkeys(named))


@given(data=st.data())
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("profile", ["default", "strict", "narrow"])
def test_checked_calls_are_answered_by_their_arguments(
    profile: str, machine: str, data: st.DataObject
) -> None:
    arch = getattr(pyseccomp.Arch, compiling.MACHINES[machine])
    call = data.draw(st.sampled_from(CHECKED))
    rule = next(rule for rule in resolve(Wanted(profile)).rules if rule.call == call)
    number = pyseccomp.resolve_syscall(arch, call)
    named = st.sampled_from(words(profile))
    values = st.one_of(
        named, st.builds(lambda one, other: one | other, named, named), st.integers(0, 2**64 - 1)
    )
    high = st.sampled_from([0, 1 << 32, 0xDEADBEEF << 32])
    arguments = [data.draw(values) | data.draw(high) for _ in range(6)]
    if number >= 0:
        program = compiling.compiled_path(profile, machine).read_bytes()
        assert answer(program, machine, number, arguments) == expected(profile, rule, arguments)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_foreign_abi_ends_the_process(profile: str) -> None:
    program = compiling.compiled_path(profile, "x86_64").read_bytes()
    assert {answer(program, "i386", number) for number in NUMBERS} == {None}
    assert {answer(program, "x86_64", 0x4000_0000 | number) for number in NUMBERS} == {None}
    arm = compiling.compiled_path(profile, "aarch64").read_bytes()
    assert {answer(arm, "i386", number) for number in NUMBERS} == {None}


def test_a_plain_profile_is_read_and_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "compiled", None)
    path = compiling.compiled_path("strict", compiling.machine())
    assert compiling.program.__wrapped__(Wanted("strict")) == path.read_bytes()


def test_a_changed_profile_is_compiled_once() -> None:
    wanted = Wanted("strict", allow=("ptrace",), deny=("@network",))
    program = compiling.program(wanted)
    assert compiling.program(wanted) is program
    number = pyseccomp.resolve_syscall(pyseccomp.system_arch(), "ptrace")
    socket = pyseccomp.resolve_syscall(pyseccomp.system_arch(), "socket")
    machine = compiling.machine()
    assert [answer(program, machine, each, [1]) for each in (number, socket)] == [0, errno.EPERM]
