"""What a file as subuid(5) describes it gives a user."""

from __future__ import annotations

import pytest

from libos.keeper.subids import WANTED, first_of

SOMEBODY = ("somebody", "1000")


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("somebody:100000:65536\n", 100_000),
        ("1000:100000:65536", 100_000),
        ("other:100000:65536\nsomebody:165536:65536\n", 165_536),
        (f"somebody:100000:{WANTED - 1}\nsomebody:300000:{WANTED}\n", 300_000),
        ("# a remark\n\nsomebody:x:65536\nsomebody:100000\nsomebody:200000:70000\n", 200_000),
    ],
)
def test_the_first_range_that_is_long_enough(text: str, first: int) -> None:
    assert first_of(text, SOMEBODY) == first


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no line names the user"),
        ("somebody2:100000:65536\nsomebod:100000:65536\n", "no line names the user"),
        ("somebody:100000:1000\nsomebody:200000:5000\n", "the longest range has 5000"),
        ("somebody:100000:-65536\nsomebody::\n", "no line names the user"),
    ],
)
def test_none_is_long_enough(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        first_of(text, SOMEBODY)
