"""What is asked for becomes rules: groups, additions, denials, and what cannot be asked."""

from __future__ import annotations

import pytest

from libos.syscalls import Wanted, tables
from libos.syscalls.cubes import both, contains, only_values, without_bits
from libos.syscalls.resolving import Filter, resolve


def allowed(wanted: Wanted) -> set[str]:
    return {rule.call for rule in resolve(wanted).rules if rule.allowed}


def test_each_call_stands_in_one_group() -> None:
    calls = [call for group in tables.groups().values() for call in group.calls]
    assert sorted(calls) == sorted(set(calls))


def test_every_group_and_check_says_what_it_is_and_why() -> None:
    texts = [(each.what, each.why) for each in tables.groups().values()]
    checks = [check for name in tables.profile_names() for check in tables.profile(name).checks]
    texts += [(each.what, each.why) for each in (*tables.checks(), *checks)]
    assert all(what and why for what, why in texts)


def test_checks_and_reasons_name_calls_that_are_known() -> None:
    profiles = [tables.profile(name) for name in tables.profile_names()]
    checked = [call for check in tables.checks() for call in check.calls]
    checked += [call for each in profiles for check in each.checks for call in check.calls]
    checked += [call for each in profiles for call in each.looser]
    assert set(checked) <= set(tables.group_of())


def test_each_stricter_profile_allows_less() -> None:
    assert allowed(Wanted("compute")) < allowed(Wanted("strict")) < allowed(Wanted("default"))


def test_compute_is_reading_writing_memory_and_the_end() -> None:
    wanted = {"read", "write", "mmap", "brk", "exit_group", "execve"}
    assert wanted <= allowed(Wanted("compute"))
    assert allowed(Wanted("compute")).isdisjoint(["openat", "socket", "clone", "kill", "ioctl", "prctl"])


def test_allow_adds_calls_and_groups() -> None:
    added = allowed(Wanted("compute", allow=("ptrace", "@ipc"))) - allowed(Wanted("compute"))
    assert added == {"ptrace", *tables.groups()["ipc"].calls}


def test_what_allow_adds_is_checked_all_the_same() -> None:
    rules = {rule.call: rule for rule in resolve(Wanted("compute", allow=("socket", "clone"))).rules}
    assert rules["socket"].checks and rules["clone"].checks


def test_deny_wins_over_the_profile_and_over_allow() -> None:
    wanted = Wanted("default", allow=("ptrace",), deny=("ptrace", "@network"))
    assert allowed(wanted) == allowed(Wanted()) - {"ptrace", *tables.groups()["network"].calls}


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (Wanted("strct"), 'no profile of system calls is named "strct", did you mean "strict"?'),
        (Wanted(allow=("ptrac",)), 'no system call is named "ptrac", did you mean "ptrace"?'),
        (Wanted(deny=("@netwrk",)), 'no group of system calls is named "@netwrk", did you mean "@network"?'),
        (Wanted(allow=("@ptrace",)), 'no group of system calls is named "@ptrace"'),
        (Wanted(deny=("execve",)), '"execve" cannot be denied'),
        (Wanted(deny=("@start",)), '"@start" cannot be denied'),
        (Wanted(deny=("exit_group",)), "neither starts nor ends"),
    ],
)
def test_what_cannot_be_asked_is_told_with_its_remedy(wanted: Wanted, told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told}" if told.startswith("no") else told):
        resolve(wanted)


def test_a_filter_without_what_prepares_an_exec_comes_last() -> None:
    def ahead(wanted: Wanted) -> bool:
        found: Filter = resolve(wanted)
        return found.lets_prepare

    assert ahead(Wanted()) and ahead(Wanted("strict")) and ahead(Wanted(deny=("ptrace",)))
    assert not ahead(Wanted("compute")) and not ahead(Wanted(deny=("dup2",)))


@pytest.mark.parametrize("values", [[0], [3, 5], [0x5412, 0x541C], [0xFFFF_FFFF], [1, 2, 10, 16]])
def test_values_and_their_others_are_all_numbers_and_no_number_twice(values: list[int]) -> None:
    partition = only_values(1, values)
    probes = [value ^ (1 << bit) for value in values for bit in range(64)] + values
    for probe in probes:
        matches = [cube for cube in (*partition.passing, *partition.failing) if contains(cube, {1: probe})]
        assert len(matches) == 1
        assert (matches[0] in partition.passing) == (probe & 0xFFFF_FFFF in values)


def test_bits_fail_once_whichever_are_set() -> None:
    partition = without_bits(0, [1, 4, 16])
    for value in range(32):
        failing = [cube for cube in partition.failing if contains(cube, {0: value})]
        assert len(failing) == bool(value & 21)
        assert contains(partition.passing[0], {0: value}) == (not value & 21)


def test_cubes_that_contradict_have_nothing_in_common() -> None:
    assert both([{0: (1, 1)}], [{0: (1, 0)}]) == ()
    assert both([{0: (1, 1)}], [{0: (2, 2)}, {1: (8, 0)}]) == ({0: (3, 3)}, {0: (1, 1), 1: (8, 0)})
