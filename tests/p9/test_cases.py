"""The cases of the conformance table on a host tree that is served by 9P, mounted, and used by a program."""

from __future__ import annotations

from conformance.cases import CASES, KERNEL_CASES, SEEDED_CASES
from conformance.folders import in_a_folder
from conformance.subjects import by_9p, host_tree, served

# What 9P2000.L, as it is spoken here, cannot say: extended attributes, an exchange, times before 1970.
UNSAID = {
    "times_before_1970_are_kept",
    "extended_attributes_are_kept",
    "an_absent_extended_attribute_is_enodata",
    "exchange_swaps_two_names",
    "an_old_files_mode_times_and_attributes_can_be_set",
    "an_old_file_can_be_renamed_linked_and_exchanged",
}


async def test_every_case_that_can_be_said() -> None:
    cases = {case.__name__: case for case in (*CASES, *KERNEL_CASES, *SEEDED_CASES)}
    said = [case for name, case in cases.items() if name not in UNSAID]
    assert len(said) == len(cases) - len(UNSAID)
    async with served(by_9p(host_tree))() as files:
        await files.mkdir(b"first")
        await files.begin(b"first")
        for case in said:
            await in_a_folder(files, case)
