"""Start to exit of /bin/true in a world, against bubblewrap with the same mounts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import perf_counter

import libos
from benchmarks.measure import Figure, Goal, interleaved
from libos.namespace import TextSource
from libos.plan import Bind, Plan, Tmpfs, lower

ROUNDS = 150
# Seconds: what is left of the sample before is gone then.
PAUSE = 0.02
MANIFEST: dict[str, object] = {"libos": 1, "include": ["base"], "app": {"command": ["/bin/true"]}}


def bubblewrap(plan: Plan, folder: Path) -> list[str]:
    """The bwrap command that makes what the plan makes; texts become files in `folder`, bound one by one."""
    return ["bwrap", "--unshare-all", "--die-with-parent", *_mounts(plan, folder), "--", *plan.command]


def _mounts(plan: Plan, folder: Path) -> Iterator[str]:
    for step in plan.steps:
        if isinstance(step, Bind):
            yield from ("--ro-bind" if step.read_only else "--bind", step.source, step.at)
        elif isinstance(step, Tmpfs):
            yield from ("--tmpfs", step.at)
    yield from ("--proc", "/proc", "--dev", "/dev")
    for number, served in enumerate(plan.served):
        if isinstance(served.source, TextSource):
            path = folder / str(number)
            path.write_text(served.source.text)
            yield from ("--ro-bind", str(path), served.at)


async def run_and_wait(command: list[str]) -> float:
    """Seconds from start to exit, by the cheapest way that Python has. Blocks: nothing else is to run."""
    begin = perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)  # noqa: ASYNC221  # blocks on purpose
    _, status = os.waitpid(pid, 0)  # noqa: ASYNC222
    took = perf_counter() - begin
    if status:
        raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), command)
    return took


async def start_and_wait(supervisor: libos.Supervisor, manifest: Plan | dict[str, object]) -> float:
    """Seconds from `Supervisor.start` to the app's end, its world gone."""
    begin = perf_counter()
    app = await supervisor.start(manifest)
    status = await app.wait()
    took = perf_counter() - begin
    assert status.returncode == 0, status
    return took


async def measure(supervisor: libos.Supervisor, scratch: Path) -> list[Figure]:
    """The launch of a plan that was started before, as of a build step or a request handler.

    The spare world that the supervisor prepared since then is waited for, outside the clock.
    """
    plan = lower(libos.from_mapping(MANIFEST))
    command = bubblewrap(plan, scratch)

    async def again(manifest: Plan | dict[str, object]) -> float:
        await supervisor.spare_ready()
        return await start_and_wait(supervisor, manifest)

    subjects = await interleaved(
        {
            "libos, a spare ready": lambda: again(plan),
            "bwrap --unshare-all": lambda: run_and_wait(command),
            "libos, from a mapping": lambda: again(MANIFEST),
            "no sandbox": lambda: run_and_wait(["/bin/true"]),
        },
        ROUNDS,
        scale=1000,
        pause=PAUSE,
    )
    return [Figure("launch of /bin/true, again", "ms", subjects, Goal(1.0, "at most", "ratio"))]


async def dialing(scratch: Path) -> list[Figure]:
    """What ten dial grants add to a launch, where nothing was prepared."""
    bare = lower(libos.from_mapping(MANIFEST))
    dials = [{"to": f"tcp!host{number}.example.org!443"} for number in range(10)]
    granted = lower(libos.from_mapping({**MANIFEST, "dial": dials}))
    async with libos.Supervisor(spare=False) as supervisor:
        subjects = await interleaved(
            {
                "ten dial grants": lambda: start_and_wait(supervisor, granted),
                "none": lambda: start_and_wait(supervisor, bare),
            },
            ROUNDS,
            scale=1000,
            pause=PAUSE,
        )
    goal = Goal(subjects[1].median + 1, "at most", "median")
    return [Figure("launch with ten dial grants", "ms", subjects, goal, note="none + 1 ms")]


async def _start_limited(supervisor: libos.Supervisor, plan: Plan, spare: bool) -> float:
    if spare:
        await start_and_wait(supervisor, plan)
        await supervisor.spare_ready()
    return await start_and_wait(supervisor, plan)


async def limited(scratch: Path) -> list[Figure]:
    """What limits add to a launch with a spare ready, and to one where nothing was prepared: as resource
    limits, and as a cgroup where this machine gives one."""
    each = {"open_files": 500, "file_size": "1G", "cpu_time": 100}
    together = {"memory": "512M", "processes": 500, "cpus": 2}
    plans = {"rlimits": lower(libos.from_mapping({**MANIFEST, "limits": each}))}
    whole = lower(libos.from_mapping({**MANIFEST, "limits": together}))
    if not whole.limits.missing:
        plans["a cgroup"] = whole
    plans["none"] = lower(libos.from_mapping(MANIFEST))
    figures = []
    for spare in (True, False):
        async with libos.Supervisor(spare=spare) as supervisor:
            subjects = await interleaved(
                {name: partial(_start_limited, supervisor, plan, spare) for name, plan in plans.items()},
                ROUNDS // 3,
                scale=1000,
                pause=PAUSE,
            )
        what = "again" if spare else "first"
        *held, none = subjects
        for subject in held:
            # The first move into a cgroup waits for every processor, which only the kernel can shorten.
            goal = Goal(none.median + 0.4, "at most", "median") if spare else None
            note = "none + 0.4 ms" if spare else ""
            figures.append(Figure(f"launch with limits, {what}", "ms", [subject, none], goal, note=note))
    return figures


async def first(scratch: Path) -> list[Figure]:
    """The launch of a plan that was not started before: nothing of its world is there."""
    plan = lower(libos.from_mapping(MANIFEST))
    command = bubblewrap(plan, scratch)
    async with libos.Supervisor(spare=False) as supervisor:
        subjects = await interleaved(
            {
                "libos, no spare": lambda: start_and_wait(supervisor, plan),
                "bwrap --unshare-all": lambda: run_and_wait(command),
            },
            ROUNDS,
            scale=1000,
            pause=PAUSE,
        )
    return [Figure("launch of /bin/true, first", "ms", subjects)]
