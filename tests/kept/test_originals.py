"""Which moment a run begins at, by the clock that stamps files."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from libos.kept.originals import tick

_COARSE = 5
# Nanoseconds between two ticks of a kernel with HZ=100.
_TICK = 10_000_000


def test_a_tick_that_comes_late_is_waited_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    """A late tick sets the coarse clock to when it was due: before what the fine clock has stamped."""
    fine = 17 * _TICK + 7_000_000
    coarse: Iterator[int] = iter([16 * _TICK, 16 * _TICK, 17 * _TICK, 18 * _TICK])
    slept: list[float] = []
    monkeypatch.setattr(time, "clock_gettime_ns", lambda clock: next(coarse) if clock == _COARSE else fine)
    monkeypatch.setattr(time, "sleep", slept.append)
    assert tick() == 18 * _TICK
    assert len(slept) == 3


def test_a_moment_is_after_all_that_was_stamped_before_it() -> None:
    before = time.clock_gettime_ns(time.CLOCK_REALTIME)
    assert before < tick() <= time.clock_gettime_ns(time.CLOCK_REALTIME)
