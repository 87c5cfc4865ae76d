"""The audit of what libos runs with: each fault that it knows is found, and this checkout has none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from audit import Advisory, Audit, Installed, Locked, allowed, audit, read_lock, running_with
from packaging.requirements import Requirement

KNOWN = Advisory("tool", "CVE-1", "<1.5", "it falls over")
SOUND = Audit(
    wanted=[Requirement("tool>=1.6")],
    lock={"tool": Locked("2.0", hashes=2)},
    running={"tool": Installed("2.0", "MIT")},
    licences=["MIT"],
    advisories=[KNOWN],
)
LOCK = """
# a comment
tool==2.0 ; sys_platform == 'linux' \\
    --hash=sha256:aa \\
    --hash=sha256:bb
Other.Tool==1.0.post1 \\
    --hash=sha256:cc
"""


def test_what_is_as_it_should_be_has_no_fault() -> None:
    assert list(SOUND.faults()) == []


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (replace(SOUND, running={"tool": None}), "tool is not installed"),
        (
            replace(SOUND, running={"tool": Installed("2.1", "MIT")}),
            "tool 2.1 is installed, and 2.0 is locked",
        ),
        (replace(SOUND, lock={}), "tool is not locked: scripts/lock adds it"),
        (replace(SOUND, lock={"tool": Locked("2.0", 0)}), "tool is locked without a hash"),
        (
            replace(SOUND, wanted=[Requirement("tool>=3")]),
            "tool 2.0 is locked, and pyproject.toml wants >=3",
        ),
        (
            replace(SOUND, running={"tool": Installed("2.0", "SSPL-1.0")}),
            "tool has a licence that is not allowed: SSPL-1.0",
        ),
        (
            replace(SOUND, running={"tool": Installed("2.0", "")}),
            "tool has a licence that is not allowed: none that it names",
        ),
        (
            replace(SOUND, wanted=[Requirement("tool>=1")]),
            "tool 1 is the least that pyproject.toml asks for: CVE-1: it falls over (tool <1.5)",
        ),
    ],
)
def test_each_fault_is_told(broken: Audit, fault: str) -> None:
    assert list(broken.faults()) == [fault]


def test_an_advisory_concerns_what_is_locked_and_what_is_installed() -> None:
    old = replace(SOUND, lock={"tool": Locked("1.4", 1)}, running={"tool": Installed("1.4", "MIT")})
    told = "CVE-1: it falls over (tool <1.5)"
    assert list(replace(old, wanted=[]).faults()) == [
        f"tool 1.4 is installed: {told}",
        f"tool 1.4 is locked: {told}",
    ]


def test_what_is_harmless_here_lets_the_least_version_be() -> None:
    lenient = replace(SOUND, wanted=[Requirement("tool>=1")])
    assert list(replace(lenient, advisories=[replace(KNOWN, harmless="unused")]).faults()) == []


def test_other_versions_pass_where_nothing_is_to_be_locked() -> None:
    other = replace(SOUND, running={"tool": Installed("2.1", "MIT")})
    assert list(replace(other, unlocked=True).faults()) == []


def test_the_lock_file_is_read_with_its_hashes() -> None:
    assert read_lock(LOCK) == {"tool": Locked("2.0", 2), "other-tool": Locked("1.0.post1", 1)}


@pytest.mark.parametrize("line", ["tool>=1", "tool", "tool==1.*"])
def test_a_line_that_locks_no_version_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not one version"):
        read_lock(line)


@pytest.mark.parametrize(
    ("licence", "is_allowed"),
    [
        ("MIT", True),
        ("GPL-2.0-or-later OR MIT", True),
        ("MIT AND ISC", True),
        ("MIT AND SSPL-1.0", False),
        ("(MIT OR ISC) AND ISC", False),  # it would be; parentheses are not read, and somebody has to look
        ("", False),
    ],
)
def test_one_choice_must_be_allowed_in_all_its_parts(licence: str, is_allowed: bool) -> None:
    assert allowed(licence, ["MIT", "ISC"]) == is_allowed


def test_what_packages_need_in_turn_is_found_where_it_applies() -> None:
    found = running_with([Requirement("pytest"), Requirement("absent; sys_platform == 'win32'")])
    assert {"pytest", "pluggy"} <= set(found)
    assert "colorama" not in found  # pytest's, on Windows
    assert "absent" not in found


def test_a_package_that_is_not_installed_is_found_missing() -> None:
    assert running_with([Requirement("no-package-has-this-name")]) == {"no-package-has-this-name": None}


def test_this_checkout_is_as_it_should_be() -> None:
    # `make check` holds the installed versions too; a suite that runs elsewhere may have others.
    assert list(audit(unlocked=True).faults()) == []
