"""Attacks by a world that is started below another one, and asks for more than that holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from accounts import Account
from attack import Attack

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

SCRIPT = Path(__file__).with_name("nesting.py")
ALONE = "a world that stands alone"
PATHS = "admission: by the host's path without links, which no mount of the world above shows"
SHOWN = "admission: what another mount or a layer covers is not handed on"

ATTACKS = {
    "test_a_world_below_another_holds_no_more": [
        Attack("path", "a path that the world above does not hold", ALONE, PATHS),
        Attack("dots", "`..` above a directory that it holds", ALONE, PATHS),
        Attack("link", "a symbolic link in a directory that it holds", ALONE, PATHS),
        Attack("above", "the folder above a directory that it holds", ALONE, PATHS),
        Attack("covered", "a directory on which the world above has another mount", ALONE, SHOWN),
        Attack("uncovered", "the directory around such a mount", ALONE, SHOWN),
        Attack("veiled", "a name that the world above has hidden", ALONE, SHOWN),
        Attack("unveiled", "the same directory without its hidden names", ALONE, SHOWN),
        Attack("write", "read-write what it may only read", ALONE, "admission: no wider mode"),
        Attack("root", "a root inside where it has none", ALONE, "admission: no weaker wall"),
        Attack("calls", "a system call that it may not make", ALONE, "admission: no weaker wall"),
    ],
    "test_a_path_that_is_exchanged_while_a_world_starts_mounts_nothing": [
        Attack(
            "exchanged",
            "a directory that the world above exchanges for a link while one below starts",
            "outside",
            "sources are opened without following a link",
        ),
        Attack(
            "moved",
            "a path that leads to another directory since the world above was started",
            ALONE,
            "before the program starts, the inode is compared with the one in the world above",
        ),
    ],
    "test_what_is_taken_from_the_world_above_while_one_starts_is_taken_from_both": [
        Attack(
            "narrowed",
            "starting while the world above loses writing",
            "both hold it before",
            "judged again in one step with the binding of the grants, which follow from then on",
        )
    ],
    "test_there_is_an_end_to_depth_and_number": [
        Attack("deep", "worlds below each other without end", "up to the bound", "eight names"),
        Attack(
            "many", "a thousand worlds below one", "up to the bound", "`limits.children`, none unless said"
        ),
    ],
}
_said: dict[str, dict[str, Any]] = {}


@pytest.fixture
def outcomes(as_user: Account) -> dict[str, Any]:
    """What came of all of them, in one run for each account."""
    if as_user.name not in _said:
        done = as_user.run(as_user.python(str(SCRIPT), str(as_user.folder)), timeout=110)
        assert done.returncode == 0, done.stderr
        _said[as_user.name] = json.loads(done.stdout)
    return _said[as_user.name]


def test_a_world_below_another_holds_no_more(outcomes: dict[str, Any]) -> None:
    attacks = ATTACKS["test_a_world_below_another_holds_no_more"]
    assert sorted(outcomes["manifest"]) == sorted(each.name for each in attacks)
    for name, (alone, below) in outcomes["manifest"].items():
        assert alone == "spoil", name
        assert below.startswith("ManifestError: "), (name, below)
        assert "would hold more than" in below, name


def test_another_spelling_of_what_is_held_is_let_in(outcomes: dict[str, Any]) -> None:
    assert outcomes["spelled"] == "own"


def test_a_path_that_is_exchanged_while_a_world_starts_mounts_nothing(outcomes: dict[str, Any]) -> None:
    spoil, exchanged = outcomes["exchanged"]
    assert spoil == "spoil"
    assert exchanged.startswith("HostError: "), exchanged
    assert "symbolic links" in exchanged
    spoil, moved = outcomes["moved"]
    assert spoil == "spoil"
    assert moved.startswith("SupervisorError: "), moved
    assert "has become another file" in moved


def test_what_is_taken_from_the_world_above_while_one_starts_is_taken_from_both(
    outcomes: dict[str, Any],
) -> None:
    found = outcomes["narrowed"]
    assert '"/x" is read-only in' in found.pop("prepared")
    assert found.pop("bound") == "went through: read-only"
    assert found
    for outcome in found.values():  # at moments of chance
        assert outcome == "went through: read-only" or outcome.startswith(
            ("ManifestError", "SupervisorError")
        )


def test_there_is_an_end_to_depth_and_number(outcomes: dict[str, Any]) -> None:
    assert outcomes["deep"].startswith("8, 0 left: ")
    assert "is too deep" in outcomes["deep"]
    assert outcomes["many"] == {"told": 1, "running": 5, "descriptors": 0, "ended": ["parent"]}
