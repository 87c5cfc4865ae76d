"""`pytest --fuzz SECONDS`: the property tests alone, each again and again for its share of the time.

Rules:
- Each round draws new examples (hypothesis takes a new seed). What fails is printed as the smallest example
  that does, with the line `@reproduce_failure(…)` that repeats it; .hypothesis keeps it for the next run.
- Shares are equal. A round that has begun is finished, so that the whole may take a little longer.
"""

from __future__ import annotations

import time

import hypothesis
import pytest

# Seconds beyond a test's share until it counts as hanging.
_GRACE = 120


class Fuzzing:
    """What --fuzz adds to the suite: a pytest plugin of its own."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
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
        result = yield
        self._rounds += 1
        arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
        while time.monotonic() < ends:
            pyfuncitem.obj(**arguments)
            self._rounds += 1
        return result

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_line(f"fuzzed: {self._rounds} rounds, {self._share:.1f} s for each test")


def _is_property(item: pytest.Item) -> bool:
    return getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
