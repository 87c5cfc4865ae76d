"""Fuzzing runs the property tests alone, more than once, and prints how to repeat what it finds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

CONFTEST = """
from fuzzing import Fuzzing

def pytest_configure(config):
    config.pluginmanager.register(Fuzzing(0.5, {seed}))
"""
TESTS = """
from hypothesis import given, strategies as st

@given(st.integers())
def test_holds(number):
    assert number == number

@given(st.integers())
def test_breaks(number):
    assert number < 1000

def test_is_no_property():
    raise AssertionError("not to be run")
"""


# Prints what each round draws first, and breaks none.
DRAWN = """
from hypothesis import given, strategies as st

@given(st.integers(0, 2**64))
def test_draws(number):
    print("drew", number)
"""


def fuzzed(folder: Path, tests: str, seed: int | None, *options: str) -> str:
    (folder / "conftest.py").write_text(CONFTEST.replace("{seed}", repr(seed)))
    (folder / "test_properties.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", os.devnull]
    done = subprocess.run(
        [*command, "--rootdir", str(folder), *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_the_same_seed_draws_the_same_and_each_round_something_else(tmp_path: Path) -> None:
    first, again = (re.findall(r"drew (\d+)", fuzzed(tmp_path, DRAWN, 7, "-s")) for _ in range(2))
    common = min(len(first), len(again))
    assert first[:common] == again[:common]
    assert len(set(first)) > 110  # a round has 100 examples


def test_a_property_that_breaks_is_printed_with_the_line_that_repeats_it(tmp_path: Path) -> None:
    out = fuzzed(tmp_path, TESTS, None)
    assert "1 failed, 1 passed, 1 deselected" in out
    assert "number=1000" in out
    assert "@reproduce_failure(" in out
    rounds = re.search(r"fuzzed: (\d+) rounds", out)
    assert rounds is not None
    assert int(rounds[1]) > 1
