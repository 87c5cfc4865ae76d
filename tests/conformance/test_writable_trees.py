"""Every case of the table, for every kind of writable tree."""

from __future__ import annotations

import pytest
from conformance.cases import CASES, KERNEL_CASES, SEEDED_CASES, Case, seed
from conformance.subjects import CALLED, KERNEL, Subject


def named(subjects: dict[str, Subject]) -> list[object]:
    """Subjects as parameters with their names."""
    return [pytest.param(subject, id=name) for name, subject in subjects.items()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("subject", named(CALLED | KERNEL))
async def test_case(subject: Subject, case: Case) -> None:
    async with subject() as files:
        await case(files)


@pytest.mark.parametrize("case", KERNEL_CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("subject", named(KERNEL))
async def test_kernel_case(subject: Subject, case: Case) -> None:
    async with subject() as files:
        await case(files)


@pytest.mark.parametrize("case", SEEDED_CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("subject", named(CALLED | KERNEL))
async def test_seeded_case(subject: Subject, case: Case) -> None:
    async with subject() as files:
        await seed(files)
        await case(files)
