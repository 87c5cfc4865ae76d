"""The table that cases are put into: `CASES` holds all, `KERNEL_CASES` those that need the kernel between
(mappings, its checks), `SEEDED_CASES` those that begin with what `seed` made: for a copy-on-write tree that
is what the host had before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from conformance.files import Calls

Case = Callable[[Calls], Awaitable[None]]
CASES: list[Case] = []
KERNEL_CASES: list[Case] = []
SEEDED_CASES: list[Case] = []


def case(function: Case) -> Case:
    """Puts a case into the table."""
    CASES.append(function)
    return function


def kernel_case(function: Case) -> Case:
    """Puts a case into the table of those that need the kernel."""
    KERNEL_CASES.append(function)
    return function


def seeded_case(function: Case) -> Case:
    """Puts a case into the table of those that find something."""
    SEEDED_CASES.append(function)
    return function


async def seed(files: Calls) -> None:
    """Makes what the seeded cases find."""
    await files.put(b"old", b"old content")
    await files.put(b"first", b"linked")
    await files.link(b"first", b"second")
    await files.mkdir(b"d")
    await files.put(b"d/a", b"below")
    await files.symlink(b"old", b"l")
