"""A supervisor whose steps meet faults (supervised.py), as the tests hold it: told what to do, its processes
found and killed or stopped where they are held."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from accounts import Account
from injected import ARMED, GO_ON, HOLD, IDLE, MET, Page
from leftovers import wait_until_gone
from parts import Victim, ended
from steps import STEPS, Step

SUPERVISED = Path(__file__).with_name("supervised.py")
# Seconds for anything that is waited for here.
PATIENCE = 40.0
FINE = [0, "exit"]


class Faulty(Victim):
    """A supervisor that is told what to do by lines."""

    def __init__(self, account: Account) -> None:
        super().__init__(account, script=SUPERVISED)
        self.page = Page(str(self.folder / "page"))
        os.chmod(self.folder / "page", 0o666)
        self._number = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._before: set[int] = set()

    def tell(self, what: str) -> int:
        """Have it do something; gives the number to ask for the answer with."""
        assert self.process.stdin is not None
        self._number += 1
        self.process.stdin.write(json.dumps({"do": what, "id": self._number}).encode() + b"\n")
        with suppress(BrokenPipeError):  # it has ended: `answer` says how
            self.process.stdin.flush()
        return self._number

    def answer(self, number: int) -> dict[str, Any]:
        """The answer to what it was told; that of its own end stands for all."""
        while number not in self._answers:
            line = self.line()
            if line.get("id", -1) == -1:
                return line
            self._answers[line["id"]] = line
        return self._answers.pop(number)

    def ask(self, what: str) -> dict[str, Any]:
        """Have it do something and give the answer."""
        return self.answer(self.tell(what))

    def arm(self, step: Step, fault: int) -> int:
        """Have the step meet the fault, make it come, and give the number of what makes it."""
        self._before = set(self.processes())
        self.page.write(STEPS.index(step), fault, ARMED)
        return self.tell(step.when)

    def was_met(self) -> bool:
        """Whether the step that was armed has been reached; none is armed then."""
        met = self.page.read()[2] != ARMED
        self.page.write(-1, HOLD, IDLE)
        return met

    def held(self) -> int:
        """Wait until a process is held at its step; gives its pid."""
        self._wait(lambda: self.page.read()[2] == MET, "no process came to the step")
        number = self.page.read()[3]
        ours = self.processes()
        if number in ours:  # it is in no pid namespace of a world, where numbers are small
            return number
        (found,) = (pid for pid in ours if pid not in self._before and _numbers(pid)[1:] == [number])
        return found

    def stop(self, pid: int) -> None:
        """Stop a process that is held, where it stands, and let it go on once it is continued."""
        os.kill(pid, signal.SIGSTOP)
        self._wait(lambda: _state(pid) == "T", "it does not stop")
        step, fault, _, _ = self.page.read()
        self.page.write(step, fault, GO_ON)

    def _wait(self, done: Any, why: str) -> None:
        end = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < end, why
            assert self.process.poll() is None, f"the supervisor ended: {self.rest()}"
            time.sleep(0.002)

    def start(self, step: Step) -> None:
        """Enter the supervisor and have the bystander run, but for a step that comes before that."""
        if step.when != "enter":
            assert "error" not in self.ask("enter")
            assert "error" not in self.ask("begin")

    def leave(self) -> None:
        """Leave the supervisor, which must end well and leave nothing."""
        answer = self.ask("leave")
        assert "error" not in answer, answer
        assert self.process.wait(PATIENCE) == 0
        self.left_nothing()

    def left_nothing(self) -> None:
        """No process, no mount, no file but the test's own."""
        wait_until_gone(list(self.processes()))  # which may have these open
        for name in ("page", "entry.py"):
            (self.folder / name).unlink(missing_ok=True)
        self.is_gone()


def keeper_ended(answer: dict[str, Any]) -> bool:
    """Whether an answer says that the keeper has ended. What is seen first is chance: the end of its channel,
    or of the mount that it held."""
    said = str(answer.get("text"))
    return any(words in said for words in ("keeper ended", "keeper that holds it is killed"))


def _numbers(pid: int) -> list[int]:
    """A process's numbers, in /proc's pid namespace and those below it; pid_namespaces(7)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return []
    return [int(number) for line in lines if line.startswith("NSpid:") for number in line.split()[1:]]


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@contextmanager
def faulty(account: Account) -> Iterator[Faulty]:
    """One whose processes are all ended by the block's end."""
    with ended(Faulty(account)) as made:
        yield made
