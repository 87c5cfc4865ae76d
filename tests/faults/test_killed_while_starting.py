"""SIGKILL at any moment of a start, the first instant included: nothing is left.

The moments are drawn at random over the time that a start takes, so that each run of the suite tries others.
"""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
from accounts import Account
from parts import Victim, victim

pytestmark = pytest.mark.system

# Seconds: how long it takes until a supervisor's first apps run, doubled; and one launch.
FIRST_START = 0.6
ONE_LAUNCH = 0.03
# Moments a test; LIBOS_TEST_ROUNDS=100 looks longer.
ROUNDS = int(os.environ.get("LIBOS_TEST_ROUNDS", "5"))


def later(seconds: float) -> None:
    """Let a random time pass. It is the moment that is tested: nothing is waited for."""
    time.sleep(random.uniform(0, seconds))


def kill(found: Victim, name: str) -> bool:
    """Kill a random process of that name; False when none is there now."""
    if pids := found.named(name):
        try:
            os.kill(random.choice(pids), signal.SIGKILL)
        except ProcessLookupError:
            return False
    return bool(pids)


def test_a_supervisor_killed_while_it_starts_leaves_nothing(as_user: Account) -> None:
    for _ in range(ROUNDS):
        with victim(as_user) as found:
            later(FIRST_START)
            found.process.kill()
            found.process.wait()
            found.is_gone()


def test_a_supervisor_killed_between_launches_leaves_nothing(as_user: Account) -> None:
    for _ in range(ROUNDS):
        with victim(as_user, "starting") as found:
            found.line()
            later(ONE_LAUNCH * 3)
            found.process.kill()
            found.process.wait()
            found.is_gone()


@pytest.mark.parametrize("half", ["libos keeper", "libos keeper K"])
def test_a_keeper_killed_while_its_supervisor_starts_ends_it_with_an_error(
    as_user: Account, half: str
) -> None:
    for _ in range(ROUNDS):
        with victim(as_user) as found:
            later(FIRST_START)
            if kill(found, half):
                told = found.rest()
                assert any("keeper" in line.get("error", "") for line in told), told
                assert found.process.wait(40) in (0, 125)
            found.process.kill()
            found.process.wait()
            (found.folder / "control.sock").unlink(missing_ok=True)
            found.is_gone()


@pytest.mark.parametrize("half", ["libos keeper", "libos keeper K"])
def test_a_keeper_killed_while_apps_start_is_an_error_and_leaves_nothing(as_user: Account, half: str) -> None:
    for _ in range(ROUNDS):
        with victim(as_user, "starting") as found:
            assert "ready" in found.line()
            later(ONE_LAUNCH * 3)
            kill(found, half)
            assert [list(line) for line in found.rest()] == [["error"]]
            assert found.process.wait(40) == 125
            found.is_gone()


def test_an_init_killed_while_its_world_is_built_is_an_error_or_a_lost_app(as_user: Account) -> None:
    for _ in range(ROUNDS):
        with victim(as_user, "starting") as found:
            assert "ready" in found.line()
            for _ in range(5):
                later(ONE_LAUNCH)
                kill(found, "libos init")
            found.process.kill()
            assert all(list(line) == ["error"] for line in found.rest())
            found.process.wait()
            found.is_gone()
