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
    config.pluginmanager.register(Fuzzing(0.5))
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


def test_a_property_that_breaks_is_printed_with_the_line_that_repeats_it(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_properties.py").write_text(TESTS)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-c",
            os.devnull,
            "--rootdir",
            str(tmp_path),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
    )
    assert "1 failed, 1 passed, 1 deselected" in done.stdout
    assert "number=1000" in done.stdout
    assert "@reproduce_failure(" in done.stdout
    rounds = re.search(r"fuzzed: (\d+) rounds", done.stdout)
    assert rounds is not None
    assert int(rounds[1]) > 1
