"""A link shaped to 8 Mbit/s and 40 ms: what a program in the world measures, against what was asked for."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import trio

import libos
from benchmarks.launch import PAUSE, start_and_wait
from benchmarks.measure import Figure, Goal, interleaved, summed_up
from libos.manifest import from_mapping
from libos.plan import lower

EXAMPLE = Path(__file__).parent.parent / "examples/slow-link/slow_link.py"
ROUNDS = 5
LAUNCHES = 60
MBIT, MILLISECONDS = 8.0, 80.0
# How far a figure may be from what was asked for.
WITHIN = 0.05


async def measure(supervisor: libos.Supervisor, scratch: Path) -> list[Figure]:
    """What starting a routed world costs beside a flat one."""
    flat = {"libos": 1, "include": ["base"], "app": {"command": ["/bin/true"]}}
    plans = {
        "routed": lower(from_mapping({**flat, "network": {"routed": True}})),
        "flat": lower(from_mapping(flat)),
    }
    launched = await interleaved(
        {name: lambda plan=plan: start_and_wait(supervisor, plan) for name, plan in plans.items()},  # type: ignore[misc]
        LAUNCHES,
        1000,
        PAUSE,
    )
    return [Figure("launch of /bin/true, routed and flat", "ms", launched)]


async def shaped(scratch: Path) -> list[Figure]:
    """The rate and the round trip of the example's link."""
    rates, trips = [], []
    for _ in range(ROUNDS):
        command = [sys.executable, str(EXAMPLE)]
        done = await trio.run_process(command, capture_stdout=True)
        _, trip, rate = re.findall(r"([0-9.]+) M?[mb]", done.stdout.decode())
        rates.append(abs(float(rate) / MBIT - 1) * 100)
        trips.append(abs(float(trip) / MILLISECONDS - 1) * 100)
    goal = Goal(WITHIN * 100, "at most", "median")
    return [
        Figure("8 Mbit/s, off by", "%", [summed_up("world", rates)], goal),
        Figure("40 ms each way, off by", "%", [summed_up("world", trips)], goal, note="of a round trip"),
    ]
