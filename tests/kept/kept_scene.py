"""Fixtures: a state folder of the test's own, and a project that an app changes in every way there is."""

from __future__ import annotations

from pathlib import Path

import pytest
from scene import Scene


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where changes are kept in this test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def scene(state: Path, tmp_path: Path) -> Scene:
    """A project with changes of every kind, kept as "n"."""
    return Scene(tmp_path / "host")
