"""No profile is looser than what containers get by default, but for what its data gives a reason for.

The profile is Docker's as Debian ships it (golang-github-containers-common 0.62.2, seccomp.json; Apache-2.0),
read as runc reads it for a container without capabilities on this machine. Compared call by call.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import pytest

from libos.syscalls import Wanted, tables
from libos.syscalls.resolving import resolve

SHIPPED = Path("/usr/share/containers/seccomp.json")
KEPT = Path(__file__).parent / "containers-seccomp.json"
# The names that the file has for machines.
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def docker() -> dict[str, list[dict[str, Any]]]:
    """For each call that Docker's profile allows here, the arguments with which it does, a list of rules."""
    raw = json.loads((SHIPPED if SHIPPED.exists() else KEPT).read_text())
    found: dict[str, list[dict[str, Any]]] = {}
    for rule in raw["syscalls"]:
        includes = rule.get("includes") or {}
        here = MACHINES[platform.machine()] in includes.get("arches", MACHINES.values())
        if rule["action"] == "SCMP_ACT_ALLOW" and here and not includes.get("caps"):
            for name in rule["names"]:
                found.setdefault(name, []).append(rule)
    return found


@pytest.mark.parametrize("profile", tables.profile_names())
def test_each_call_that_docker_refuses_is_refused_or_has_its_reason(profile: str) -> None:
    allowed = {rule.call for rule in resolve(Wanted(profile)).rules if rule.allowed}
    reasons = tables.profile(profile).looser if profile == "default" else tables.profile("default").looser
    assert allowed - docker().keys() - reasons.keys() == set()


def test_every_reason_is_one_for_a_call_that_docker_refuses() -> None:
    reasons = tables.profile("default").looser
    assert [call for call in reasons if call in docker()] == []
    assert all(reasons.values())


def test_what_docker_allows_by_arguments_is_checked_here_too() -> None:
    by_arguments = {name for name, rules in docker().items() if any(rule.get("args") for rule in rules)}
    assert by_arguments == {"personality", "socket"}
    rules = {rule.call: rule for rule in resolve(Wanted()).rules}
    assert all(rules[call].checks for call in by_arguments)


def test_the_personalities_are_dockers() -> None:
    theirs = {rule["args"][0]["value"] for rule in docker()["personality"]}
    (ours,) = (check for check in tables._read("checks")["check"] if "personality" in check["calls"].split())
    assert set(ours["only"].values()) == theirs


def test_much_that_docker_allows_is_refused() -> None:
    refused = {rule.call for rule in resolve(Wanted()).rules if not rule.allowed}
    stricter = {"mount", "setns", "keyctl", "pidfd_getfd", "reboot", "syslog", "clone3", "process_vm_writev"}
    assert stricter <= refused & docker().keys()
