"""What the walls add to a launch: Landlock, the filter of system calls, the covers of /proc, each left out in
turn, and the cgroup. Nothing is prepared: all of a world is made while the clock runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import libos
from benchmarks.launch import MANIFEST, PAUSE, start_and_wait
from benchmarks.measure import Figure, Goal, interleaved
from benchmarks.unwalled import ALL_THREE, COVERS, FILTER, LANDLOCK, NOTHING, Choice, entry
from libos.plan import Plan, lower
from libos.worlds import keeping

ROUNDS = 150
WITHOUT = {
    "all walls": NOTHING,
    "without the three": ALL_THREE,
    "without Landlock": LANDLOCK,
    "without the filter": FILTER,
    "without covers of /proc": COVERS,
}
# A limit that only a cgroup holds (docs/reference/limits.md).
LIMITED = {**MANIFEST, "limits": {"memory": "512M"}}
# It ends with 0 behind a filter (mode 2, proc_pid_status(5)), covers, and Landlock (it makes no whiteout).
TELLS = """grep -q '^Seccomp:.2' /proc/self/status && test -z "$(cat /proc/interrupts)" &&
! mknod /dev/shm/whiteout c 0 0 2>/dev/null"""


async def measure(scratch: Path) -> list[Figure]:
    """The whole against a world without the three walls, and one with a cgroup against one without."""
    byte, program = scratch / "choice", scratch / "keeper.py"
    choice = Choice(str(byte))
    program.write_text(entry(str(byte)))
    usual, keeping._ENTRY = keeping._ENTRY, str(program)
    try:
        async with libos.Supervisor(spare=False) as supervisor:
            return await _figures(supervisor, choice)
    finally:
        keeping._ENTRY = usual


async def _figures(supervisor: libos.Supervisor, choice: Choice) -> list[Figure]:
    await _choice_counts(supervisor, choice)
    plan, limited = lower(libos.from_mapping(MANIFEST)), lower(libos.from_mapping(LIMITED))

    async def launch(plan: Plan, left_out: int) -> float:
        choice.leave_out(left_out)
        return await start_and_wait(supervisor, plan)

    samples = {name: partial(launch, plan, left_out) for name, left_out in WITHOUT.items()}
    if not limited.limits.missing:
        samples["all walls and a cgroup"] = partial(launch, limited, NOTHING)
    subjects = await interleaved(samples, ROUNDS, scale=1000, pause=PAUSE)
    whole, bare = subjects[:2]
    goal = Goal(bare.median + 1, "at most", "median")
    walls = Figure("launch behind walls, first", "ms", subjects[: len(WITHOUT)], goal, note="without + 1 ms")
    # Most of it is the move into the cgroup, which waits for every processor: docs/reference/limits.md.
    return [
        walls,
        *(Figure("launch in a cgroup, first", "ms", [each, whole]) for each in subjects[len(WITHOUT) :]),
    ]


async def _choice_counts(supervisor: libos.Supervisor, choice: Choice) -> None:
    """See that walls are up where none is left out, and down where they are: else nothing was measured."""
    for left_out, status in ((NOTHING, 0), (FILTER, 1), (COVERS, 1), (LANDLOCK, 1)):
        choice.leave_out(left_out)
        app = await supervisor.start(
            {"libos": 1, "include": ["base"], "app": {"command": ["sh", "-c", TELLS]}}
        )
        assert (await app.wait()).returncode == status, f"walls {left_out} were not left out"
