"""What libos run takes from itself: seen on its own process and its keeper, while it serves."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from accounts import Account

from libos.cli.confining import KEPT

pytestmark = pytest.mark.system
HELD = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
MANIFEST = """libos = 1
include = ["base"]
[app]
command = ["true"]
[[dial]]
to = "tcp!localhost!9"
http = [{ method = ["GET"] }]
[[secret]]
name = "TOKEN"
header = "authorization"
to = ["tcp!localhost!9"]
command = ["sh", "-c", "grep -E 'NoNewPrivs|CapBnd' /proc/self/status > seen; echo a-long-secret"]
"""


def statuses(pid: int) -> list[dict[str, str]]:
    """The status of each thread of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        found.append(dict(line.split(":\t", 1) for line in lines if ":\t" in line))
    return found


def keeper_of(pid: int) -> int:
    """The keeper's outside half: the child that is there when the app runs."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def test_libos_run_gains_nothing_and_keeps_what_is_written_down(as_user: Account) -> None:
    account = as_user
    run = account.libos("run", "-v", "/usr:/data:cow", "--", "sh", "-c", "echo up; cat")
    with account.start(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        own = [*statuses(process.pid), *statuses(keeper_of(process.pid))]
        process.stdin.close()
    assert process.returncode == 0
    most = sum(1 << each for each in KEPT) if account.uid == 0 else 0
    for status in own:
        assert status["NoNewPrivs"] == "1", status["Name"]
        sets = {name: int(status[name], 16) for name in HELD}
        assert (sets["CapInh"], sets["CapAmb"]) == (0, 0)
        assert sets["CapPrm"] & ~most == sets["CapEff"] & ~most == 0, sets
        if account.uid == 0:
            assert sets["CapBnd"] & ~most == 0, sets


def test_a_command_of_the_callers_for_a_secret_is_left_what_the_caller_has(as_user: Account) -> None:
    path = as_user.folder / "agent.toml"
    path.write_text(MANIFEST)
    done = as_user.run(as_user.libos("run", str(path)))
    assert done.returncode == 0, done.stderr
    outside = as_user.run(["grep", "-E", "NoNewPrivs|CapBnd", "/proc/self/status"])
    assert (as_user.folder / "seen").read_text() == outside.stdout
