"""The program inside, on served trees, against a directory of this machine: every outcome is the same, or
stands in the table of differences."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Sequence
from pathlib import Path

import accounts
import posix_subjects as subjects
import pytest
from posix_differences import DIFFERENCES, OVERLAY, READ_ONLY, READ_ONLY_ACCESS, Difference
from posix_subjects import SUBJECTS

GROUPS = subjects.names_of_groups()
REFERENCE = Path(__file__).parents[2] / "docs/reference/nodes.md"
# What depends on who started libos: the rest is done for an ordinary user alone, to save time.
AS_ROOT = {
    "host": ("one_path", "metadata", "content"),
    "memory": ("metadata",),
    "copy-on-write": ("metadata",),
}
# Of a read-only tree: what stands in the table, and what the kernel answers without asking the server.
EXCEPT_READ_ONLY = ("get ACL, ", "access W_OK, ", "rename onto itself, ")

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@functools.cache
def reference(group: str) -> dict[str, str]:
    return subjects.reference(group)


def table() -> list[object]:
    """Every account, subject and group that is tried."""
    return [
        pytest.param(
            account,
            subject,
            group,
            id=f"{account}-{subject}-{group}",
            marks=[pytest.mark.soak] if is_long(account, subject, group) else [],
        )
        for account in accounts.names()
        for subject in SUBJECTS
        for group in GROUPS
        if account == "user" or group in AS_ROOT[subject]
    ]


def is_long(account: str, subject: str, group: str) -> bool:
    """Whether others say nearly the same: root's trees are the user's with another owner, and what paths do
    on a copy is tried on copies of the host's own files too."""
    alone = os.geteuid() != 0  # there is no root's run that could be left out
    paths = group in ("one_path", "two_paths", "directories")
    return (account == "root" and not alone and paths) or (subject == "copy-on-write" and paths)


def differing(expected: dict[str, str], got: dict[str, str]) -> dict[str, str]:
    """What came of the cases in which two subjects differ."""
    return {case: got.get(case, "") for case in {**expected, **got} if expected.get(case) != got.get(case)}


@pytest.mark.parametrize(("account", "subject", "group"), table())
def test_a_served_tree_does_what_the_host_does(account: str, subject: str, group: str) -> None:
    if reason := accounts.why_not(account):
        pytest.skip(reason)
    with accounts.account(account) as owner:
        got = subjects.in_world(SUBJECTS[subject], owner, group)
    hold(reference(group), got, subject, [each for each in DIFFERENCES if each.group == group])


def hold(expected: dict[str, str], got: dict[str, str], subject: str, known: Sequence[Difference]) -> None:
    """Every difference is in the table, and all of the table happens."""
    found = differing(expected, got)
    unexplained = {
        case: (expected.get(case), outcome)
        for case, outcome in found.items()
        if not any(each.explains(subject, case, outcome) for each in known)
    }
    assert unexplained == {}
    past = [
        each
        for each in known
        if subject in each.on
        and not any(each.explains(subject, case, outcome) for case, outcome in found.items())
    ]
    assert past == [], "these happen no more: take them out of the table and the reference"


@pytest.mark.soak_accounts("root")
def test_copies_of_the_hosts_files_change_as_in_the_kernels_overlay(as_user: accounts.Account) -> None:
    lowered = subjects.in_world(subjects.OVERLAY["lowered"], as_user, "one_path")
    served = subjects.in_world(subjects.OVERLAY["served"], as_user, "one_path")
    hold(lowered, served, "copy-on-write", OVERLAY)


@pytest.mark.soak_accounts("root")
def test_a_read_only_tree_refuses_what_a_read_only_mount_refuses(as_user: accounts.Account) -> None:
    lowered = subjects.in_world(subjects.READ_ONLY["lowered"], as_user, "one_path")
    served = subjects.in_world(subjects.READ_ONLY["served"], as_user, "one_path")
    found = differing(lowered, served)
    # Everything that is EROFS is refused, if only with what else is wrong with it; all else is the same.
    allowed = {case for case in found if lowered[case] == "EROFS" and re.fullmatch("E[A-Z]+", found[case])}
    allowed |= {case for case in found if case.startswith(EXCEPT_READ_ONLY)}
    assert {case: (lowered[case], found[case]) for case in found if case not in allowed} == {}


def test_every_difference_is_in_the_reference() -> None:
    text = " ".join(REFERENCE.read_text().split())
    reasons = {each.reason for each in (*DIFFERENCES, *OVERLAY)} | {READ_ONLY, READ_ONLY_ACCESS}
    assert [reason for reason in sorted(reasons) if reason not in text] == []


def test_the_program_knows_every_group() -> None:
    assert {each.group for each in DIFFERENCES} <= set(GROUPS)
    assert os.access(subjects.INSIDE / "program.py", os.R_OK)
