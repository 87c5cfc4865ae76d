"""Every case of the table in real worlds, as root and as an ordinary user: lowered, and with --serve-all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import accounts
import pytest
from conformance.cases import CASES, KERNEL_CASES, SEEDED_CASES, Case
from conformance.lowered import COPY_ON_WRITE, MECHANISMS, OVERLAY, RunningWorld

pytestmark = pytest.mark.system

REFERENCE = Path(__file__).parents[2] / "docs/reference/nodes.md"
ALL = [*CASES, *KERNEL_CASES, *SEEDED_CASES]


class Running:
    """The worlds that run, one for each account and mechanism, each started when it is first asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._accounts: dict[str, accounts.Account] = {}
        self._worlds: dict[tuple[str, str], RunningWorld] = {}

    def get(self, account: str, mechanism: str) -> RunningWorld:
        """The world of an account and a mechanism; skips where the account cannot run anything."""
        if account not in self._accounts:
            if reason := accounts.why_not(account):
                pytest.skip(reason)
            self._accounts[account] = self._stack.enter_context(accounts.account(account))
        key = (account, mechanism)
        if key not in self._worlds:
            owner = self._accounts[account]
            folder = owner.folder / f"tree-{len(self._worlds)}"
            world = self._worlds[key] = RunningWorld(owner, MECHANISMS[mechanism], folder)
            self._stack.callback(world.close)
        return self._worlds[key]


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """All worlds end with the module."""
    with ExitStack() as stack:
        yield Running(stack)


def table() -> Iterator[object]:
    """Each account with each mechanism and each case, or what stands in its place."""
    for account in accounts.names():
        for name, mechanism in MECHANISMS.items():
            for case in ALL:
                difference = mechanism.differences.get(case)
                does = difference.instead if difference else case
                yield pytest.param(account, name, case, does, id=f"{account}, {name}-{does.__name__}")


@pytest.mark.parametrize(("account", "mechanism", "case", "does"), list(table()))
async def test_case_in_a_world(
    running: Running, account: str, mechanism: str, case: Case, does: Case
) -> None:
    async with running.get(account, mechanism).files(case) as files:
        await does(files)


def test_every_difference_is_in_the_reference() -> None:
    text = " ".join(REFERENCE.read_text().split())
    assert [each.reason for each in (COPY_ON_WRITE | OVERLAY).values() if each.reason not in text] == []
