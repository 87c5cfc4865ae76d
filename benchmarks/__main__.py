"""Run the benchmarks: python -m benchmarks [NAME…]; the table on stdout, JSON in build/bench.json.

`python -m benchmarks programs` and `compare` have tables of their own; the exit status is 1 where a program
fails, and where libos could not be asked.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

import libos
from benchmarks import (
    command,
    compare,
    files,
    held,
    launch,
    learning,
    link,
    live,
    memory,
    programs,
    relay,
    trees,
    view,
    walls,
)
from benchmarks.measure import Figure, machine, table

RESULT = Path("build/bench.json")

# What takes a supervisor, and what starts one of its own. In the order in which they run.
SUPERVISED: dict[str, Callable[[libos.Supervisor, Path], Awaitable[list[Figure]]]] = {
    "launch": launch.measure,
    "lowered": files.lowered,
    "served": files.served,
    "trees": trees.measure,
    "relay": relay.measure,
    "routed": link.measure,
    "web": relay.web,
    "live": live.measure,
}
ALONE: dict[str, Callable[[Path], Awaitable[list[Figure]]]] = {
    "first": launch.first,
    "dialing": launch.dialing,
    "limits": launch.limited,
    "walls": walls.measure,
    "held": held.measure,
    "command": command.measure,
    "memory": memory.measure,
    "shaped": link.shaped,
    "learning": learning.measure,
    "view": view.measure,
}


async def run(name: str, scratch: Path) -> list[Figure]:
    """One group of figures."""
    print(f"measuring: {name}", file=sys.stderr)
    if name in ALONE:
        return await ALONE[name](scratch)
    async with libos.Supervisor() as supervisor:
        return await SUPERVISED[name](supervisor, scratch)


async def main(names: list[str]) -> list[Figure]:
    """All groups asked for, one after another: two at once would measure each other."""
    with tempfile.TemporaryDirectory(prefix="libos-bench-") as scratch:
        return [figure for name in names for figure in await run(name, Path(scratch))]


if __name__ == "__main__":
    if sys.argv[1:] == ["programs"]:
        sys.exit(programs.main())
    if sys.argv[1:] == ["compare"]:
        sys.exit(compare.main())
    asked = sys.argv[1:] or [*SUPERVISED, *ALONE]
    if unknown := set(asked) - {*SUPERVISED, *ALONE}:
        known = [*SUPERVISED, *ALONE, "programs (alone)", "compare (alone)"]
        sys.exit(f"unknown: {', '.join(unknown)}; there are: {', '.join(known)}")
    figures = trio.run(main, asked)
    print(" ".join(f"{key}: {value};" for key, value in machine().items()).rstrip(";"))
    print(table(figures))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(
        json.dumps({"machine": machine(), "figures": [each.json() for each in figures]}, indent=1)
    )
    print(f"as JSON: {RESULT}")
