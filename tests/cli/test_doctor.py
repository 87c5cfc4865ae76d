"""The doctor on this machine, and on machines made worse in namespaces of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from accounts import Account

import libos
from libos.doctor.examine import STEPS

pytestmark = pytest.mark.system


def _findings(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found = json.loads(done.stdout)
    assert found["version"] == 1
    return {finding["step"]: finding for finding in found["findings"]}


def _worse(account: Account, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run libos where `script` first made things worse, in user and mount namespaces that end with it."""
    program = f'set -e; mount --make-rprivate /; {script}; exec "$@"'
    return account.run(["unshare", "-Urm", "sh", "-c", program, "sh", *account.libos(*words)])


def test_a_good_machine_passes_every_step(as_user: Account) -> None:
    done = as_user.run(as_user.libos("doctor", "--json"))
    findings = _findings(done)
    assert done.returncode == 0, done.stdout
    assert all(finding["ok"] for finding in findings.values())
    assert set(STEPS) - set(findings) <= {"id-mapped mount", "sub-ids"}
    assert ("id-mapped mount" in findings) == (as_user.uid == 0)
    assert ("sub-ids" in findings) == (as_user.uid != 0)


def test_for_people_each_step_is_a_line_and_the_verdict_comes_last(as_user: Account) -> None:
    done = as_user.run(as_user.libos("doctor"))
    assert done.stdout.splitlines()[-1] == "worlds can run here"
    assert all(line.startswith("ok ") for line in done.stdout.splitlines()[:-1])


@pytest.mark.parametrize(
    ("script", "step", "cause", "remedy"),
    [
        (
            "echo 0 > /proc/sys/user/max_user_namespaces",
            "user namespace",
            "user.max_user_namespaces is 0",
            "sysctl -w user.max_user_namespaces",
        ),
        (
            "echo 0 > /proc/sys/user/max_net_namespaces",
            "network namespace",
            "user.max_net_namespaces is 0",
            "sysctl -w user.max_net_namespaces",
        ),
        (
            "mount -t tmpfs none /dev",
            "/dev/fuse",
            "not loaded",
            "modprobe fuse",
        ),
        (
            "mount --bind /dev/null /dev/fuse",
            "FUSE mount",
            "lacks it",
            "Linux 5.12",
        ),
        (
            "mount -t tmpfs none /proc/sys",
            "/proc",
            "covered",
            "where /proc is whole",
        ),
    ],
)
def test_a_worse_machine_has_a_cause_and_a_remedy(
    as_user: Account, script: str, step: str, cause: str, remedy: str
) -> None:
    done = _worse(as_user, script, "doctor", "--json")
    finding = _findings(done)[step]
    assert done.returncode == 125
    assert finding["ok"] is False
    assert cause in finding["cause"]
    assert remedy in finding["remedy"]
    for other in _findings(done).values():
        assert (other["ok"] is False) == bool(other["cause"] and other["remedy"] and other["error"])


def test_what_could_not_be_tried_is_neither_good_nor_bad(as_user: Account) -> None:
    done = _worse(as_user, "echo 0 > /proc/sys/user/max_user_namespaces", "doctor", "--json")
    assert _findings(done)["seccomp filter"]["ok"] is None


def test_a_run_that_fails_says_why_and_what_to_do(as_user: Account) -> None:
    done = _worse(as_user, "echo 0 > /proc/sys/user/max_user_namespaces", "run", "--", "echo", "started")
    assert (done.returncode, done.stdout) == (125, "")
    assert "sysctl -w user.max_user_namespaces" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("libos: ")


def test_a_run_without_fuse_says_why_and_what_to_do(as_user: Account) -> None:
    done = _worse(as_user, "mount -t tmpfs none /dev", "run", "--", "echo", "started")
    assert (done.returncode, done.stdout) == (125, "")
    assert "modprobe fuse" in done.stderr


def test_a_world_within_a_world_is_told_apart_from_a_machine_that_lacks_something(as_user: Account) -> None:
    project = Path(libos.__file__).parents[1]
    mounts = [word for folder in {project, Path(sys.prefix)} for word in ("-v", f"{folder}:{folder}")]
    inner = as_user.libos("run", "--", "echo", "started")
    done = as_user.run(as_user.libos("run", *mounts, "--", *inner))
    assert (done.returncode, done.stdout) == (125, "")
    assert "this is a world of libos" in done.stderr
    assert "modprobe" not in done.stderr


def test_the_doctor_leaves_the_machine_as_it_was(as_user: Account) -> None:
    def state() -> str:
        return as_user.run(["sh", "-c", "cat /proc/self/mountinfo; ls -di /tmp /dev /proc"]).stdout

    before = state()
    as_user.run(as_user.libos("doctor"))
    assert state() == before
