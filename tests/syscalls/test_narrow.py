"""The profile narrow: small, a part of the others, with sockets only where there is a network."""

from __future__ import annotations

from collections.abc import Mapping

import pyseccomp
import pytest
from bpf import answer

from libos.manifest import Manifest, from_mapping
from libos.plan.syscalls import wanted_calls
from libos.syscalls import Wanted, compiling, tables
from libos.syscalls.resolving import Rule, resolve

NARROW = tables.profile("narrow")
# The same as a value and in a manifest: without a network, and with one.
ALONE, WITH = Wanted("narrow"), Wanted("narrow", network=True)


def allowed(wanted: Wanted) -> dict[str, Rule]:
    return {rule.call: rule for rule in resolve(wanted).allowed}


def test_it_is_a_part_of_strict_and_the_smallest_profile() -> None:
    assert allowed(ALONE).keys() < allowed(Wanted("strict")).keys()
    others = [len(allowed(Wanted(name))) for name in tables.profile_names() if name != "narrow"]
    assert len(allowed(ALONE)) < min(others)


def test_each_single_call_stands_in_the_group_under_which_it_is_listed() -> None:
    for named in (NARROW.calls, NARROW.network):
        for group, calls in named.items():
            assert set(calls) <= set(tables.groups()[group].calls)


def test_what_is_kept_without_need_is_allowed_and_has_a_reason() -> None:
    assert NARROW.kept.keys() <= allowed(ALONE).keys()
    assert all(NARROW.kept.values())


def test_sockets_are_allowed_with_a_network_alone() -> None:
    added = allowed(WITH).keys() - allowed(ALONE).keys()
    assert added == {call for calls in NARROW.network.values() for call in calls}
    assert "socket" in added
    assert allowed(WITH)["socket"].because == "profile narrow, with a network"


@pytest.mark.parametrize(
    ("more", "has"),
    [
        ({}, False),
        ({"mount": [{"at": "/d", "text": ""}]}, False),
        ({"dial": [{"to": "tcp!localhost!80"}]}, True),
        ({"listen": [{"port": 8000, "publish": False}]}, True),
        ({"mount": [{"at": "/s", "service": "tcp!localhost!80"}]}, True),
    ],
)
def test_a_dial_a_listen_or_a_service_is_a_network(more: dict[str, object], has: bool) -> None:
    assert wanted_calls(manifest("narrow", more)) == Wanted("narrow", network=has)


@pytest.mark.parametrize("profile", ["default", "strict", "compute"])
def test_other_profiles_do_not_ask_whether_there_is_a_network(profile: str) -> None:
    dial = {"dial": [{"to": "tcp!localhost!80"}]}
    assert wanted_calls(manifest(profile, dial)) == Wanted(profile)


def manifest(profile: str, more: Mapping[str, object]) -> Manifest:
    return from_mapping({"app": {"command": ["true"]}, "syscalls": {"profile": profile}, **more})


@pytest.mark.parametrize("machine", sorted(compiling.MACHINES))
@pytest.mark.parametrize(
    ("call", "arguments", "passes"),
    [
        ("clone", [0x3D0F00], True),  # what pthread_create(3) asks for
        ("clone", [17], False),  # fork: SIGCHLD alone
        ("clone", [0x4111], False),  # vfork
        ("clone", [0x10000 | 0x20000000], False),  # a thread in a pid namespace
        ("ioctl", [1, 0x5401], True),
        ("ioctl", [1, 0x5412], False),
        ("fcntl", [3, 1030], True),
        ("fcntl", [3, 6], False),  # a lock
        ("fcntl", [3, 1024], False),  # a lease
        ("socket", [2, 1], False),
        ("unlinkat", [], False),
        ("execveat", [], False),
    ],
)
def test_arguments_are_looked_at(machine: str, call: str, arguments: list[int], passes: bool) -> None:
    program = compiling.compiled_path("narrow", machine).read_bytes()
    number = pyseccomp.resolve_syscall(getattr(pyseccomp.Arch, compiling.MACHINES[machine]), call)
    assert (answer(program, machine, number, arguments) == 0) is passes


def test_with_a_network_the_families_are_those_of_strict() -> None:
    program = compiling.program(WITH)
    socket = pyseccomp.resolve_syscall(pyseccomp.system_arch(), "socket")
    machine = compiling.machine()
    passing = [family for family in range(50) if answer(program, machine, socket, [family, 1]) == 0]
    assert passing == [1, 2, 10]
