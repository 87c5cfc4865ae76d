"""The search by value: what it finds, and in how few runs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libos.trimming.grants import Grant
from libos.trimming.proving import Outcome, Proof, Search

MOUNTS = [Grant("mount", f"/{number}") for number in range(64)]


async def searched(
    needed: set[Grant], suspects: Sequence[Grant], others: Sequence[Grant]
) -> tuple[Proof, list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []

    async def attempt(gone: Sequence[Grant]) -> Outcome:
        missing = needed & set(gone)
        return Outcome(not missing, f"no {min(map(str, missing))}" if missing else "", 1.0)

    proof = await Search(attempt, lambda made, left: told.append((made, left))).run(suspects, others)
    return proof, told


@settings(deadline=None)  # asserts no time: machines are busy
@given(st.sets(st.sampled_from(MOUNTS)), st.integers(0, 64))
def test_exactly_what_is_needed_is_left(needed: set[Grant], suspected: int) -> None:
    import trio

    async def look() -> None:
        proof, told = await searched(needed, MOUNTS[:suspected], MOUNTS[suspected:])
        assert set(proof.needed) == needed
        assert set(proof.dropped) == set(MOUNTS) - needed
        assert all(why == f"no {grant}" for grant, why in proof.needed.items())
        assert told[-1] == (proof.trials, 0)
        assert all(left >= 0 for _, left in told)

    trio.run(look)


async def test_what_nothing_needs_goes_in_one_run() -> None:
    proof, _ = await searched(set(), MOUNTS, [])
    assert (proof.trials, len(proof.dropped), proof.seconds) == (1, 64, 1.0)


@pytest.mark.parametrize("place", [0, 31, 63])
async def test_one_needed_among_suspects_is_found_by_halving(place: int) -> None:
    proof, _ = await searched({MOUNTS[place]}, MOUNTS, [])
    assert proof.trials <= 13


async def test_what_was_used_is_tried_once_each() -> None:
    proof, told = await searched(set(MOUNTS[:8]), [], MOUNTS[:8])
    assert proof.trials == 8
    assert told[0] == (0, 8)
