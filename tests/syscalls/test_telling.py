"""Who answers refused calls in the filter's place gives the filter's answer, and tells a bounded amount."""

from __future__ import annotations

import errno
import json
import os
from functools import cache

import pyseccomp
import pytest
from bpf import ALLOW, USER_NOTIFICATION, answer, run
from hypothesis import given
from hypothesis import strategies as st

from libos.keeper.refusals import RECORD, Refusals
from libos.kernel.notifications import Notification
from libos.syscalls import Wanted, compiling, tables
from libos.syscalls.telling import answers, name

MACHINE = compiling.machine()
CHECKED = sorted(
    {call for check in (*tables.checks(), *tables.profile("strict").checks) for call in check.calls}
)
WORDS = sorted(
    {each for check in tables.checks() for cube in check.partition.failing for _, each in cube.values()}
)


@cache
def refusals(profile: str) -> Refusals:
    """As the keeper gets it: by way of JSON."""
    return Refusals(json.loads(json.dumps(answers(Wanted(profile, log=True)))), -1)


def number(call: str) -> int:
    return int(pyseccomp.resolve_syscall(pyseccomp.system_arch(), call))


@given(data=st.data())
@pytest.mark.parametrize("profile", tables.profile_names())
def test_a_telling_filter_refuses_the_same_calls_with_the_same_errno(
    profile: str, data: st.DataObject
) -> None:
    calls = [number(call) for call in CHECKED if number(call) >= 0]
    chosen = data.draw(st.one_of(st.sampled_from(calls), st.integers(0, 700)))
    arguments = data.draw(
        st.lists(st.one_of(st.sampled_from(WORDS), st.integers(0, 2**64 - 1)), min_size=6, max_size=6)
    )
    plain = answer(compiling.program(Wanted(profile)), MACHINE, chosen, arguments)
    result = run(compiling.program(Wanted(profile, log=True)), MACHINE, chosen, arguments)
    if plain == 0:
        assert result == ALLOW
    else:
        assert result == USER_NOTIFICATION
        assert refusals(profile).error(Notification(1, 1, tuple(arguments), chosen)) == plain


def test_foreign_abis_end_the_process_in_a_telling_filter_too() -> None:
    for log in (True, "pass"):
        program = compiling.program(Wanted(log=log))
        assert answer(program, "i386", 20) is None
        assert MACHINE != "x86_64" or answer(program, "x86_64", 0x4000_0027) is None


@pytest.mark.parametrize("hearing", [False, True])
def test_listen_is_notified_of_only_where_it_is_heard(hearing: bool) -> None:
    program = compiling.program(Wanted(log=True), notified=frozenset(["listen"] if hearing else []))
    assert run(program, MACHINE, number("listen")) == (USER_NOTIFICATION if hearing else ALLOW)


def test_what_is_told_is_told_at_each_doubling_and_a_full_pipe_loses_no_count() -> None:
    read_fd, write_fd = os.pipe2(os.O_NONBLOCK)
    told = Refusals({"pass": False, "errors": {}}, write_fd)
    heard = Notification(1, 7, (1, 2, 3, 4, 5, 6), 900)
    for _ in range(100):
        told.tell(heard, errno.ENOSYS)
    records = list(RECORD.iter_unpack(os.read(read_fd, 65_536)))
    assert [count for _, _, _, count, *_ in records] == [1, 1, 2, 4, 8, 16, 32]
    assert records[0] == (900, errno.ENOSYS, 7, 1, 1, 2, 3, 4, 5, 6)
    while True:  # until it is full
        try:
            os.write(write_fd, b"x" * RECORD.size)
        except BlockingIOError:
            break
    for _ in range(100):
        told.tell(heard, errno.ENOSYS)
    while True:
        try:
            os.read(read_fd, 65_536)
        except BlockingIOError:
            break
    told.tell(heard, errno.ENOSYS)
    ((_, _, _, count, *_),) = RECORD.iter_unpack(os.read(read_fd, 65_536))
    assert count == 201 - 64
    os.close(read_fd)
    os.close(write_fd)


def test_numbers_that_no_call_has_are_counted_singly_up_to_a_bound() -> None:
    read_fd, write_fd = os.pipe2(os.O_NONBLOCK)
    told = Refusals({"pass": False, "errors": {}}, write_fd)
    found = list[tuple[int, ...]]()
    for number in range(1_000, 11_000):
        told.tell(Notification(1, 7, (0,) * 6, number), errno.ENOSYS)
        try:
            found += RECORD.iter_unpack(os.read(read_fd, 65_536))
        except BlockingIOError:
            continue
    assert len({number for number, *_ in found}) == 2_049
    assert len(found) < 2_100
    assert sum(count for _, _, _, count, *_ in found) > 5_000
    os.close(read_fd)
    os.close(write_fd)


def test_calls_are_named_and_unknown_ones_are_their_number() -> None:
    assert name(number("openat")) == "openat"
    assert (name(900), name(-5)) == ("900", "-5")
