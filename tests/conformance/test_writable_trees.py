"""Every case of the table, for every kind of writable tree."""

from __future__ import annotations

import pytest
from conformance.cases import CASES, KERNEL_CASES, SEEDED_CASES, Case, seed
from conformance.subjects import BY_9P, CALLED, KERNEL, Subject

# What 9P2000.L, as it is spoken here, cannot say: extended attributes, an exchange, times before 1970.
UNSAID = {
    "times_before_1970_are_kept",
    "extended_attributes_are_kept",
    "an_absent_extended_attribute_is_enodata",
    "exchange_swaps_two_names",
    "an_old_files_mode_times_and_attributes_can_be_set",
    "an_old_file_can_be_renamed_linked_and_exchanged",
}


def pairs(subjects: dict[str, Subject], cases: list[Case]) -> list[object]:
    """Each case on each subject, by their names."""
    return [
        pytest.param(subject, case, id=f"{name}-{case.__name__}")
        for name, subject in subjects.items()
        for case in cases
        if name not in BY_9P or case.__name__ not in UNSAID
    ]


@pytest.mark.parametrize(("subject", "case"), pairs(CALLED | KERNEL, CASES))
async def test_case(subject: Subject, case: Case) -> None:
    async with subject() as files:
        await case(files)


@pytest.mark.parametrize(("subject", "case"), pairs(KERNEL, KERNEL_CASES))
async def test_kernel_case(subject: Subject, case: Case) -> None:
    async with subject() as files:
        await case(files)


@pytest.mark.parametrize(("subject", "case"), pairs(CALLED | KERNEL, SEEDED_CASES))
async def test_seeded_case(subject: Subject, case: Case) -> None:
    async with subject() as files:
        await seed(files)
        await case(files)


def test_what_9p_cannot_say_are_cases() -> None:
    assert {case.__name__ for case in (*CASES, *KERNEL_CASES, *SEEDED_CASES)} >= UNSAID
