"""`libos run -- /bin/true`, as a shell starts it: Python's start, imports, the keeper, one world, the end."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.launch import MANIFEST, bubblewrap, run_and_wait
from benchmarks.measure import Figure, Goal, interleaved
from libos import from_mapping
from libos.plan import lower

ROUNDS = 25
# What `libos` is beside this interpreter.
LIBOS = str(Path(sys.executable).parent / "libos")


async def measure(scratch: Path) -> list[Figure]:
    """The command against bwrap, and against Python's own start with trio and pyfuse3."""
    peer = bubblewrap(lower(from_mapping(MANIFEST)), scratch)
    bare = [sys.executable, "-c", "import trio, pyfuse3"]
    subjects = await interleaved(
        {
            "libos run": lambda: run_and_wait([LIBOS, "run", "--", "/bin/true"]),
            "bwrap --unshare-all": lambda: run_and_wait(peer),
            "python importing trio, pyfuse3": lambda: run_and_wait(bare),
        },
        ROUNDS,
        scale=1000,
    )
    return [Figure("libos run -- /bin/true", "ms", subjects, Goal(250, "at most", "median"))]
