"""No descriptor, no address space, no memory for each process of libos at each step of a launch and of its
end: it gets through, or there is one clear error; the next app starts, or the supervisor says why not."""

from __future__ import annotations

import pytest
from accounts import Account
from faulty import FINE, PATIENCE, Faulty, faulty, keeper_ended
from injected import ADDRESSES, DESCRIPTORS, MEMORY
from steps import STEPS, Step

pytestmark = [pytest.mark.system, pytest.mark.soak]

WORLDS = [step for step in STEPS if step.process in ("init", "child", "hearing")]
# What is done for as long as the process lives has no other step after it.
LASTING = ("Keeper.serve", "outside:_watch")
OTHERS = [
    step for step in STEPS if step.process in ("outside", "inside") and not step.function.endswith(LASTING)
]
RUN = [step for step in STEPS if step.process == "supervisor" and step.when == "run"]
ENDS = ("view:View.close", "Gate.finish", "World.close")
each = pytest.mark.parametrize
faults = each("fault", [DESCRIPTORS, ADDRESSES, MEMORY], ids=["descriptors", "addresses", "memory"])


def name(step: Step) -> str:
    return step.name


def is_clear(answer: dict[str, object]) -> bool:
    """Whether it went well, the app was lost, or there is one line that says what failed."""
    if "error" in answer:
        text = str(answer["text"])
        return answer["error"] in ("HostError", "SupervisorError", "CommandError") and len(text) > 10
    # A program may have inherited the limit, and fail by itself.
    return answer["ended"] in (FINE, [-9, "lost"], [1, "exit"], [127, "exit"])


@faults
def test_a_world_that_gets_no_more_costs_that_app_alone(as_user: Account, fault: int) -> None:
    with faulty(as_user) as found:
        found.start(WORLDS[0])
        for step in WORLDS:
            answer = found.answer(found.arm(step, fault))
            assert found.was_met(), step.name
            assert is_clear(answer), (step.name, answer)
            for what in ("probe", "run"):
                assert found.ask(what).get("ended") == FINE, (step.name, what)
        found.leave()


@faults
@each("step", OTHERS, ids=name)
@pytest.mark.soak_accounts("user")
def test_a_keeper_that_gets_no_more_says_so(as_user: Account, step: Step, fault: int) -> None:
    with faulty(as_user) as found:
        found.start(step)
        answer = found.answer(found.arm(step, fault))
        assert step.when == "leave" or found.was_met()
        if step.when == "enter" and "error" in answer:
            assert is_clear(answer), answer
            assert found.process.wait(PATIENCE) == 125
            found.left_nothing()
            return
        if step.when != "leave":
            assert step.when == "enter" or is_clear(answer), answer
            after = found.ask("run")
            assert after.get("ended") == FINE or keeper_ended(after), after
            found.leave()
        assert found.process.wait(PATIENCE) == 0
        found.left_nothing()


@each("step", [step for step in RUN if not step.function.endswith(ENDS)], ids=name)
def test_a_supervisor_without_descriptors_says_so_and_goes_on(as_user: Account, step: Step) -> None:
    with faulty(as_user) as found:
        found.start(step)
        assert is_clear(answer := found.answer(found.arm(step, DESCRIPTORS))), answer
        assert found.was_met()
        goes_on(found)


def goes_on(found: Faulty) -> None:
    """The supervisor and its worlds do."""
    for what in ("probe", "run"):
        assert found.ask(what).get("ended") == FINE, what
    found.leave()
