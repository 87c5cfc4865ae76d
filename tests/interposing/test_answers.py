"""What a handler may give back, and what is refused."""

from __future__ import annotations

import os

import pytest

from libos.interposing import CONTINUE, CONTINUE_ANYWAY, Give
from libos.interposing.answers import checked


@pytest.mark.parametrize("answer", [0, 1, 42, (1 << 63) - 1, CONTINUE, CONTINUE_ANYWAY])
def test_a_value_or_going_on_is_an_answer(answer: object) -> None:
    assert checked(answer, looked=False) is answer


@pytest.mark.parametrize("answer", [None, True, False, "0", 1.0, b"", [0]])
def test_anything_else_is_none(answer: object) -> None:
    with pytest.raises(TypeError, match="answers an int"):
        checked(answer, looked=False)


@pytest.mark.parametrize("answer", [-1, -4095, 1 << 63])
def test_a_value_is_never_below_zero_since_that_is_an_errno(answer: int) -> None:
    with pytest.raises(ValueError, match="raised as an OSError"):
        checked(answer, looked=False)


def test_going_on_after_a_look_into_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="decides nothing"):
        checked(CONTINUE, looked=True)
    assert checked(CONTINUE_ANYWAY, looked=True) is CONTINUE_ANYWAY
    assert checked(7, looked=True) == 7


def test_a_directory_is_not_given_and_is_closed() -> None:
    folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    with pytest.raises(ValueError, match="leads out of the world"):
        Give(folder)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(folder)
