"""System calls from a manifest to its plan: what is said, merged, shown, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

import libos
from libos.manifest import from_mapping, from_options
from libos.plan import lower
from libos.syscalls import DEFAULT, Wanted


def wanted(**said: Any) -> Wanted:
    return lower(from_mapping({"include": ["base"], "syscalls": said})).syscalls


def refused(**said: Any) -> str:
    with pytest.raises(libos.ManifestError) as raised:
        wanted(**said)
    return str(raised.value)


def test_nothing_said_is_the_default() -> None:
    assert lower(from_mapping({"include": ["base"]})).syscalls == DEFAULT == wanted()


def test_what_is_said_stands_in_the_plan() -> None:
    said = {"profile": "strict", "allow": ["ptrace"], "deny": ["@network"], "log": "pass"}
    assert wanted(**said) == Wanted("strict", ("ptrace",), ("@network",), "pass")


def test_an_option_wins_over_the_manifest_and_lists_append() -> None:
    under = from_mapping({"syscalls": {"profile": "strict", "allow": ["ptrace"], "deny": ["kill"]}})
    over = from_mapping({"syscalls": {"allow": ["@ipc", "ptrace"], "log": True}})
    merged = over.over(under).syscalls.wanted
    assert merged == Wanted("strict", ("ptrace", "@ipc"), ("kill",), True)
    assert from_options(under, syscalls="compute").syscalls.wanted.profile == "compute"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"profile": "strct"}, 'no profile of system calls is named "strct", did you mean "strict"?'),
        ({"allow": ["ptrac"]}, 'no system call is named "ptrac", did you mean "ptrace"?'),
        ({"deny": ["@net"]}, 'no group of system calls is named "@net"'),
        ({"deny": ["@start"]}, '"@start" cannot be denied: a program that may not use execve'),
        ({"log": True, "deny": ["@descriptors"]}, "log needs read and write: remove them from deny, or log"),
        ({"log": "loud"}, '"log" is'),
        ({"profiles": "strict"}, 'unknown key "profiles", did you mean "profile"?'),
    ],
)
def test_what_is_wrong_is_told_with_a_remedy(said: dict[str, Any], told: str) -> None:
    assert told in refused(**said)


def test_explain_has_a_line_for_it() -> None:
    plan = lower(from_mapping({"include": ["base"], "syscalls": {"profile": "strict", "allow": ["ptrace"]}}))
    (line,) = (each for each in plan.lines if each.at == "system calls")
    assert (line.asked, line.mechanism) == ("profile strict, ptrace too", "filter")
    said = {"profile": "strict", "allow": ("ptrace",), "deny": (), "log": False, "network": False}
    assert plan.json()["syscalls"] == said
