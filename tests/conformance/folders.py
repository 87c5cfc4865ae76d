"""Many cases in one tree, each in a directory of its own: one mount does all of them."""

from __future__ import annotations

from conformance.cases import SEEDED_CASES, Case, seed
from conformance.files import Calls


async def in_a_folder(files: Calls, case: Case) -> None:
    """A case in a directory of its own, beside the one that the agent is in."""
    await files.begin(b"../" + case.__name__.encode())
    try:
        if case in SEEDED_CASES:
            await seed(files)
        await case(files)
    except BaseException as error:
        error.add_note(f"in the case {case.__name__}")
        raise
