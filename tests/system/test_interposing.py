"""System calls that Python answers, in real worlds (interposed.py), as root and as an ordinary user."""

from __future__ import annotations

import errno
import json
import os
import select
import subprocess
from pathlib import Path
from typing import Any

import pytest
from accounts import Account

pytestmark = pytest.mark.system

SCRIPT = Path(__file__).with_name("interposed.py")
_seen: dict[str, dict[str, Any]] = {}


@pytest.fixture
def seen(as_user: Account) -> dict[str, Any]:
    """What came of all programs, for one account; they run once."""
    if as_user.name not in _seen:
        done = as_user.run(as_user.python(str(SCRIPT)))
        assert done.returncode == 0, done.stderr
        _seen[as_user.name] = json.loads(done.stdout)
    return _seen[as_user.name]


def test_a_call_is_answered_by_a_value_an_errno_a_descriptor_or_the_kernel(seen: dict[str, Any]) -> None:
    values = ["EROFS", 4242, "Dune", "words", None, -1, "EFAULT", 0]
    assert seen["answers"] == {
        "values": values,
        "who": ["python3", True, "value", 0],
        "given": [True],
        "last": "app.exit",
    }


def test_a_handler_at_fault_is_a_failed_call_and_told(seen: dict[str, Any]) -> None:
    assert seen["faults"] == {
        "values": [True, "ENOTRECOVERABLE", errno.ENOTRECOVERABLE, "ENOTRECOVERABLE", "EIO"],
        "faults": {
            "getppid": "KeyError",
            "mkdir": "ValueError",
            "umask": "TypeError",
            "socket": "ValueError",
            "getsid": "the handler took longer than 0.2 s",
        },
    }


def test_only_the_thread_that_called_waits(seen: dict[str, Any]) -> None:
    assert seen["alone"] == [[1, 2]]


def test_a_flood_is_answered_so_many_at_once(seen: dict[str, Any]) -> None:
    assert seen["many"] == {"values": [160, [7]], "most": 2, "told": 160}


def test_no_handler_lifts_what_a_filter_refuses(seen: dict[str, Any]) -> None:
    found = seen["refused"]
    assert found["values"] == ["EAFNOSUPPORT", None, 1, -1, "EBUSY", 0, -13, 0]
    assert found["asked"] == [2, -1]
    assert "what is refused reaches no handler" in found["why"]


def test_an_argument_that_is_rewritten_after_the_check_wins_against_going_on_alone(
    seen: dict[str, Any],
) -> None:
    assert seen["races"] == {
        "anyway": ["a secret"],  # what the check refused
        "plain": ["EIO", "ValueError"],  # so it is no answer
        "given": ["for everybody"],  # what the check saw
    }


def test_a_program_that_is_killed_while_it_waits_leaves_nothing(seen: dict[str, Any]) -> None:
    assert seen["killed"] == {
        "reason": "killed",
        "ended": True,
        "child": [True],
        "gone": ["gone"],
        "last": "app.exit",
    }
    assert seen["listeners"] == 0


def test_a_program_that_waits_ends_with_a_supervisor_that_is_killed(as_user: Account) -> None:
    supervisor = as_user.start(as_user.python(str(SCRIPT), "held"), stdout=subprocess.PIPE)
    try:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        pidfd = os.pidfd_open(pid)
    finally:
        supervisor.kill()
        supervisor.wait()
        supervisor.stdout.close()  # type: ignore[union-attr]  # it is a pipe
    with os.fdopen(pidfd) as end:
        assert select.select([end], [], [], 30)[0], "it outlives who answers for it"


def test_memory_that_this_process_serves_ports_and_further_programs_go_with_it(seen: dict[str, Any]) -> None:
    assert seen["served"] == {"paths": ["/served/by/the/supervisor", "/by/another/program"], "port": 8000}
