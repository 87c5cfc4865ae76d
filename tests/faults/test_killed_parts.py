"""SIGKILL of each part of a running libos: nothing of it is left, and the others see a clear end."""

from __future__ import annotations

import os
import signal

import pytest
from accounts import Account
from parts import Victim, victim

pytestmark = pytest.mark.system

LOST = [["one", -9, "lost"], ["two", -9, "lost"]]


def ends(told: list[dict[str, list[object]]]) -> list[list[object]]:
    """How the apps ended, by name."""
    return sorted(line["ended"] for line in told if "ended" in line)


def errors(told: list[dict[str, str]]) -> list[str]:
    return [line["error"] for line in told if "error" in line]


def inits(found: Victim) -> dict[str, int]:
    """The inits of both apps: the parents of their first programs."""
    ready = found.line()["ready"]
    return {name: _parent(pid) for name, pid in ready.items()}


def _parent(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def test_a_killed_supervisor_leaves_nothing(as_user: Account) -> None:
    with victim(as_user) as found:
        assert set(found.line()["ready"]) == {"one", "two"}
        assert len(found.named("libos init")) >= 2
        assert (found.folder / "control.sock").exists()
        found.process.kill()
        found.process.wait()
        found.is_gone()


@pytest.mark.parametrize("half", ["libos keeper", "libos keeper K"])
def test_a_killed_keeper_ends_every_app_and_the_supervisor_says_so(as_user: Account, half: str) -> None:
    with victim(as_user) as found:
        assert found.line()["ready"]
        (pid,) = found.named(half)
        os.kill(pid, signal.SIGKILL)
        told = found.rest()
        assert ends(told) == LOST
        assert any("keeper" in text for text in errors(told)), told
        assert found.process.wait(30) == 0
        (found.folder / "control.sock").unlink(missing_ok=True)  # the supervisor lives and owns it
        found.is_gone()


def test_a_killed_init_ends_its_app_alone(as_user: Account) -> None:
    with victim(as_user) as found:
        of_app = inits(found)
        os.kill(of_app["one"], signal.SIGKILL)
        assert found.line() == {"ended": ["one", -9, "lost"]}
        assert of_app["two"] in found.named("libos init")
        os.kill(of_app["two"], signal.SIGKILL)
        assert found.line() == {"ended": ["two", -9, "lost"]}
        assert found.process.wait(30) == 0
        found.is_gone()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_app_takes_its_process_tree_along_and_nobody_else(as_user: Account, number: int) -> None:
    with victim(as_user) as found:
        ready = found.line()["ready"]
        os.kill(ready["one"], number)
        assert found.line() == {"ended": ["one", -number, "signal"]}
        os.kill(ready["two"], number)
        assert found.line() == {"ended": ["two", -number, "signal"]}
        assert found.process.wait(30) == 0
        found.is_gone()


def test_a_stopped_supervisor_that_is_killed_leaves_nothing(as_user: Account) -> None:
    with victim(as_user) as found:
        assert found.line()["ready"]
        found.process.send_signal(signal.SIGSTOP)
        found.process.kill()
        found.process.wait()
        found.is_gone()


def test_all_parts_killed_at_once_leave_nothing(as_user: Account) -> None:
    with victim(as_user) as found:
        assert found.line()["ready"]
        for pid in [pid for pid, name in found.processes().items() if name.startswith("libos keeper")]:
            os.kill(pid, signal.SIGKILL)
        found.process.kill()
        found.process.wait()
        (found.folder / "control.sock").unlink()  # who sweeps it was killed too
        found.is_gone()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_from_a_terminal_do_not_end_the_keeper_before_its_supervisor(
    as_user: Account, number: int
) -> None:
    with victim(as_user) as found:
        ready = found.line()["ready"]
        for name in ("libos keeper", "libos keeper K", "libos init"):
            for pid in found.named(name):
                os.kill(pid, number)
        os.kill(ready["one"], signal.SIGKILL)
        assert found.line() == {"ended": ["one", -9, "signal"]}
        os.kill(ready["two"], signal.SIGKILL)
        assert found.line() == {"ended": ["two", -9, "signal"]}
