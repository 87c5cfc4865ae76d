"""`pytest --fuzz SECONDS`: the property tests alone, each again and again for its share of the time.

Rules:
- Each round draws new examples, by a seed of its own: the first round has the seed that was given, or one of
  chance, each later round the next number. The closing lines name it: the same seed draws the same.
- What fails is printed as the smallest example that does, with the line `@reproduce_failure(…)` to repeat it;
  .hypothesis keeps it for the next run.
- Shares are equal, and two rounds at least. A round that has begun is finished, so that the whole may take a
  little longer.
"""

from __future__ import annotations

import itertools
import random
import time

import hypothesis
import pytest

# Seconds beyond a test's share until it counts as hanging.
_GRACE = 120


class Fuzzing:
    """What --fuzz adds to the suite: a pytest plugin of its own."""

    def __init__(self, seconds: float, seed: int | None = None) -> None:
        self._seconds = seconds
        self._seed = random.getrandbits(32) if seed is None else seed
        self._share = seconds
        self._rounds = 0
        hypothesis.settings.register_profile("fuzz", deadline=None, print_blob=True)
        hypothesis.settings.load_profile("fuzz")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the property tests, and share the time out."""
        others = [item for item in items if not _is_property(item)]
        items[:] = [item for item in items if _is_property(item)]
        config.hook.pytest_deselected(items=others)
        self._share = self._seconds / max(1, len(items))
        for item in items:
            item.add_marker(pytest.mark.timeout(self._share + _GRACE))

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> object:
        """Call the test until its share is over; its first call is the suite's own."""
        ends = time.monotonic() + self._share
        seed = itertools.count(self._seed)
        _draw_by(pyfuncitem, next(seed))
        result = yield
        self._rounds += 1
        arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
        while True:
            _draw_by(pyfuncitem, next(seed))
            pyfuncitem.obj(**arguments)
            self._rounds += 1
            if time.monotonic() >= ends:
                return result

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_line(
            f"fuzzed: {self._rounds} rounds, {self._share:.1f} s for each test, --fuzz-seed {self._seed}"
        )


def _draw_by(item: pytest.Function, seed: int) -> None:
    hypothesis.seed(seed)(getattr(item.obj, "__func__", item.obj))


def _is_property(item: pytest.Item) -> bool:
    return getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
