"""Supervisors that tests share: one a account for the whole run, and one in the test's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import trio
from accounts import Account
from worlds import Worlds

import libos


@pytest.fixture(scope="session")
def _running_worlds() -> Iterator[dict[str, Worlds]]:
    running: dict[str, Worlds] = {}
    yield running
    for each in running.values():
        each.close()


@pytest.fixture
def worlds(as_user: Account, _running_worlds: dict[str, Worlds]) -> Worlds:
    """Worlds of root and of an ordinary user, one after another."""
    if as_user.name not in _running_worlds:
        _running_worlds[as_user.name] = Worlds(as_user)
    return _running_worlds[as_user.name]


async def one_line(stream: trio.abc.ReceiveStream) -> bytes:
    """The next line that a program writes, where it writes no more than that: one line may come in parts, as
    Python's print writes it in a world (PYTHONUNBUFFERED of the profile python)."""
    said = b""
    while not said.endswith(b"\n"):
        more = await stream.receive_some()
        assert more, said
        said += more
    return said


@pytest.fixture
async def supervisor() -> AsyncIterator[libos.Supervisor]:
    """A supervisor in this process, as the user who runs the tests."""
    async with libos.Supervisor() as made:
        yield made
