"""Memory of a supervisor that holds 2,000 open connections of a world.

RSS: all of its own pages, shared ones in full (proc_pid_status(5)). Run as a program it starts a world and
prints its bytes before and with the connections.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import trio

import libos
from benchmarks.measure import Figure, Goal, summed_up
from benchmarks.relay import load_servers
from benchmarks.worker import in_world

CONNECTIONS = 2000


def rss() -> int:
    """Bytes of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


async def hold() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    async with load_servers() as ports, libos.Supervisor() as supervisor:
        port = ports["keep"]
        async with in_world(supervisor, dial=[{"to": f"tcp!127.0.0.1!{port}"}]) as inside:
            before = rss()
            held = await inside.ask("hold_connections", "127.0.0.1", port, CONNECTIONS)
            assert held == CONNECTIONS, held
            print(json.dumps([rss(), before]))


async def measure(scratch: Path) -> list[Figure]:
    """One sample: memory does not scatter as time does."""
    done = await trio.run_process([sys.executable, "-m", "benchmarks.held"], capture_stdout=True)
    held, before = json.loads(done.stdout)
    subjects = [summed_up("supervisor", [held / 1e6]), summed_up("without connections", [before / 1e6])]
    return [Figure("2,000 open connections, RSS", "MB", subjects, Goal(200, "at most", "median"))]


if __name__ == "__main__":
    trio.run(hold)
