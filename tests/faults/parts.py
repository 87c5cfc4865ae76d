"""The processes of one supervisor: starting it, telling them apart, and seeing that all are gone.

A supervisor and all that it starts are recognised by a mark that every process inherits: the hard limit
RLIMIT_RTTIME (the soft one marks the whole suite's processes, see leftovers.py).
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from accounts import Account
from leftovers import mount_table, wait_until_gone

VICTIM = Path(__file__).with_name("victim.py")
Kind = TypeVar("Kind", bound="Victim")
_marks = count(810_000 - os.getpid() % 5_000)


class Victim:
    """A supervisor in a process of its own that is about to lose something."""

    def __init__(self, account: Account, *arguments: str, script: Path = VICTIM) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_RTTIME)
        self.mark = next(_marks)
        self.folder = account.folder / "victim"
        account.run(["mkdir", "-p", str(self.folder)])
        self.mounts = mount_table()
        limit = (
            f"--rttime={self.mark if soft == resource.RLIM_INFINITY else min(soft, self.mark)}:{self.mark}"
        )
        command = account.command(*account.python(str(script), str(self.folder), *arguments))
        self.process = subprocess.Popen(
            ["prlimit", limit, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=account.environment,
            cwd="/",
        )

    def line(self) -> dict[str, Any]:
        """What it tells next; empty once it has ended."""
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        found: dict[str, Any] = json.loads(text) if text else {}
        return found

    def rest(self) -> list[dict[str, Any]]:
        """All that it tells until it ends."""
        return list(iter(self.line, {}))

    def processes(self) -> dict[int, str]:
        """Its living processes by pid, with the name of each: "libos keeper", "libos init", …"""
        return {pid: name for pid in _pids() if (name := self._name(pid)) is not None}

    def _name(self, pid: int) -> str | None:
        try:
            limits = Path(f"/proc/{pid}/limits").read_text()
            name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
        except OSError:  # gone meanwhile
            return None
        line = next(line for line in limits.splitlines() if line.startswith("Max realtime timeout"))
        return name if line.split()[4] == str(self.mark) and rest.split()[0] != "Z" else None

    def named(self, name: str) -> list[int]:
        """The pids of its processes of one name."""
        return [pid for pid, found in self.processes().items() if found == name]

    def is_gone(self) -> None:
        """Nothing is left: no process, so no namespace, no mount on the host, no socket file."""
        assert wait_until_gone(list(self.processes())) == [], self.processes()
        assert self.processes() == {}
        assert mount_table() <= self.mounts
        assert [path.name for path in self.folder.iterdir()] == []


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdecimal())


@contextmanager
def victim(account: Account, *arguments: str) -> Iterator[Victim]:
    """A victim whose processes are all ended by the block's end, whatever the test finds."""
    with ended(Victim(account, *arguments)) as made:
        yield made


@contextmanager
def ended(made: Kind) -> Iterator[Kind]:
    """Ends all processes of a victim."""
    assert made.process.stdin is not None
    assert made.process.stdout is not None
    try:
        yield made
    finally:
        made.process.kill()
        with suppress(BrokenPipeError):  # it has not read its last lines
            made.process.stdin.close()
        made.process.stdout.close()
        made.process.wait()
        for pid in wait_until_gone(list(made.processes())):
            os.kill(pid, signal.SIGKILL)
