"""SIGSTOP of each process of libos at each step of a launch and of its end: who waits for it goes on when it
does; other worlds do meanwhile; and a supervisor ends although one of its processes stands still."""

from __future__ import annotations

import os
import signal

import pytest
from accounts import Account
from faulty import FINE, PATIENCE, faulty
from injected import HOLD
from steps import STEPS, Step

pytestmark = [pytest.mark.system, pytest.mark.soak]

each = pytest.mark.parametrize
WORLDS = [step for step in STEPS if step.process in ("init", "child", "hearing")]
KEEPERS = [step for step in STEPS if step.process in ("outside", "inside")]
OTHERS = [step for step in STEPS if step not in WORLDS]


def name(step: Step) -> str:
    return step.name


def test_a_part_of_a_world_stopped_at_any_step_goes_on_later(as_user: Account) -> None:
    with faulty(as_user) as found:
        found.start(WORLDS[0])
        for step in WORLDS:
            number = found.arm(step, HOLD)
            pid = found.held()
            found.stop(pid)
            for what in ("probe", "run"):
                assert found.ask(what).get("ended") == FINE, (step.name, what)
            os.kill(pid, signal.SIGCONT)
            assert found.answer(number).get("ended") == FINE, step.name
        found.leave()


@pytest.mark.soak_accounts("user")
@each("step", OTHERS, ids=name)
def test_a_stopped_supervisor_or_keeper_goes_on_later(as_user: Account, step: Step) -> None:
    with faulty(as_user) as found:
        found.start(step)
        number = found.arm(step, HOLD)
        pid = found.held()
        found.stop(pid)
        if step.process != "supervisor" and step.when == "run":
            assert found.ask("probe").get("ended") == FINE  # running worlds need no keeper
        os.kill(pid, signal.SIGCONT)
        answer = found.answer(number)
        assert "error" not in answer, answer
        if step.when != "leave":
            assert found.ask("run").get("ended") == FINE
            found.leave()
        assert found.process.wait(PATIENCE) == 0
        found.left_nothing()


@each("step", [step for step in WORLDS if step.when == "run"], ids=name)
@pytest.mark.soak_accounts("user")
def test_a_supervisor_that_is_left_or_killed_ends_what_is_stopped(as_user: Account, step: Step) -> None:
    with faulty(as_user) as found:
        found.start(step)
        found.arm(step, HOLD)
        found.stop(found.held())
        if STEPS.index(step) % 2:
            found.leave()
        else:
            found.process.kill()
            found.process.wait()
            found.left_nothing()


@pytest.mark.soak  # it waits twice for what only a keeper can tell: 20 s
@each("step", [step for step in KEEPERS if step.when == "run"], ids=name)
def test_leaving_a_supervisor_ends_a_keeper_that_is_stopped(as_user: Account, step: Step) -> None:
    with faulty(as_user) as found:
        found.start(step)
        found.arm(step, HOLD)
        found.stop(found.held())
        found.leave()
