"""The fixture of the attacks: `ground`, where one account's are run. Each account's worlds are shared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from accounts import Account
from attacking import Field, programs
from worlds import Worlds


@pytest.fixture(scope="session")
def attack_programs() -> Iterator[Path]:
    with programs() as folder:
        yield folder


@pytest.fixture(scope="session")
def _grounds() -> dict[str, Field]:
    return {}


@pytest.fixture
def ground(as_user: Account, worlds: Worlds, attack_programs: Path, _grounds: dict[str, Field]) -> Field:
    """As root and as an ordinary user, one after another."""
    found = _grounds.setdefault(as_user.name, Field(as_user, worlds, attack_programs))
    found.account = as_user  # its folder goes with each test
    return found
