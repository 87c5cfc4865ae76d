"""Memory of a supervisor with ten idle worlds and all its helpers, against ten bubblewraps.

PSS: a process's own pages and its share of the shared ones (proc_pid_smaps(5)). Run as a program it starts
the worlds, and prints the sums of itself and its helpers, and of the apps, in bytes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import trio

import libos
from benchmarks.launch import bubblewrap
from benchmarks.measure import Figure, Goal, summed_up
from libos.plan import lower

WORLDS = 10
MANIFEST = {"libos": 1, "include": ["base"], "app": {"command": ["sleep", "60"]}}


def descendants(pid: int) -> list[int]:
    """All processes below this one."""
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [each for child in children for each in descendants(child)]


def pss(pid: int) -> int:
    """Bytes. Needs the right to trace the process (ptrace(2))."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def sums(root: int) -> tuple[int, int]:
    """PSS of a process and its helpers, and of the sleeping programs below it."""
    below = descendants(root)
    apps = [pid for pid in below if Path(f"/proc/{pid}/comm").read_text().strip() == "sleep"]
    helpers = sum(pss(pid) for pid in below if pid not in apps)
    return helpers, sum(pss(pid) for pid in apps)


async def ten_worlds() -> None:
    async with libos.Supervisor() as supervisor:
        for _ in range(WORLDS):
            await supervisor.start(MANIFEST)
        helpers, apps = sums(os.getpid())
        print(json.dumps([pss(os.getpid()) + helpers, apps]))


def ten_bubblewraps(scratch: Path) -> tuple[int, int]:
    """The same by bwrap: its processes, and the apps."""
    command = bubblewrap(lower(libos.from_mapping(MANIFEST)), scratch)
    command[-2:] = ["sh", "-c", "echo; exec sleep 60"]  # the line says that it runs
    started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(WORLDS)]
    try:
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        return sums(os.getpid())
    finally:
        for process in started:
            process.kill()
            process.communicate()


async def measure(scratch: Path) -> list[Figure]:
    """One sample each: memory does not scatter as time does."""
    done = await trio.run_process([sys.executable, "-m", "benchmarks.memory"], capture_stdout=True)
    ours, our_apps = json.loads(done.stdout)
    theirs, their_apps = ten_bubblewraps(scratch)
    subjects = [
        summed_up("supervisor, keeper, ten inits", [ours / 1e6]),
        summed_up("ten bwrap", [theirs / 1e6]),
        summed_up("the apps themselves, libos", [our_apps / 1e6]),
        summed_up("the apps themselves, bwrap", [their_apps / 1e6]),
    ]
    return [Figure("ten idle worlds, PSS", "MB", subjects, Goal(80, "at most", "median"))]


if __name__ == "__main__":
    trio.run(ten_worlds)
