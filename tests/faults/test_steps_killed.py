"""SIGKILL of each process of libos at each step of a launch and of its end: one clear error or a lost app,
nothing left, and the supervisor goes on, or says that it cannot."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from accounts import Account
from faulty import FINE, Faulty, faulty, keeper_ended
from injected import HOLD
from steps import STEPS, Step

pytestmark = pytest.mark.system

WORLDS = [step for step in STEPS if step.process in ("init", "child", "hearing")]
KEEPERS = [step for step in STEPS if step.process in ("outside", "inside")]
SUPERVISORS = [step for step in STEPS if step.process == "supervisor"]
each = pytest.mark.parametrize


def name(step: Step) -> str:
    return step.name


@pytest.fixture
def started(as_user: Account) -> Iterator[Faulty]:
    with faulty(as_user) as found:
        yield found


def kill_at(found: Faulty, step: Step) -> int:
    """Kill the process that comes to the step; gives the number of what made it come there."""
    number = found.arm(step, HOLD)
    os.kill(found.held(), signal.SIGKILL)
    assert found.was_met()
    return number


def test_a_part_of_a_world_killed_at_any_step_costs_that_app_alone(started: Faulty) -> None:
    assert "error" not in started.ask("enter")
    assert started.ask("begin") == {"id": 2, "ended": None}
    for step in WORLDS:
        answer = started.answer(kill_at(started, step))
        if step.process == "hearing":
            assert answer["ended"] == [1, "exit"], (step.name, answer)  # its listen(2) was ENOSYS
        else:
            assert answer.get("ended", [-9, "lost"])[0] == -9, (step.name, answer)
            assert answer.get("error", "SupervisorError") in ("SupervisorError", "HostError", "CommandError")
            assert len(answer.get("text", "lost").splitlines()) == 1, (step.name, answer)
        for what in ("probe", "run"):
            assert started.ask(what).get("ended") == FINE, (step.name, what)
    started.leave()


@each("step", KEEPERS, ids=name)
def test_a_keeper_killed_at_any_step_is_one_clear_error(started: Faulty, step: Step) -> None:
    started.start(step)
    answer = started.answer(kill_at(started, step))
    if step.when == "run":
        assert answer.get("ended") == FINE or answer["error"] == "SupervisorError", answer
        assert started.ask("lost")["ended"] == [-9, "lost"]
        assert keeper_ended(started.ask("run"))
        started.leave()
    elif "error" in answer:
        assert keeper_ended(answer), answer
        assert started.process.wait(40) == 125
        started.left_nothing()
    else:  # it had told of itself before, or was leaving
        if step.when == "enter":
            assert keeper_ended(started.ask("run"))
            started.tell("leave")
        assert started.process.wait(40) == 0
        started.left_nothing()


@each("step", SUPERVISORS, ids=name)
def test_a_supervisor_killed_at_any_step_leaves_nothing(started: Faulty, step: Step) -> None:
    started.start(step)
    kill_at(started, step)
    started.process.wait()
    started.left_nothing()
