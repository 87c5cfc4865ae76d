"""Connections of a world: what the gate's relay carries and adds, against connecting directly."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

import libos
from benchmarks.measure import Figure, Goal, interleaved
from benchmarks.worker import in_world, outside

ROUNDS = 15
PINGS = 200
# Bytes carried for one sample of the throughput.
CARRIED = 1 << 30


@asynccontextmanager
async def load_server() -> AsyncIterator[int]:
    """The load server, in a process of its own; gives its port on 127.0.0.1."""
    command = [sys.executable, "-I", str(Path(__file__).parent / "load.py")]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield int(await process.stdout.receive_some())
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stdout.aclose()


async def measure(supervisor: libos.Supervisor, scratch: Path) -> list[Figure]:
    """Throughput of one stream, and the time to connect and receive one byte."""
    async with (
        load_server() as port,
        in_world(supervisor, dial=[{"to": f"tcp!127.0.0.1!{port}"}]) as inside,
        outside() as peer,
    ):
        carried = await interleaved(
            {
                "world, relayed": lambda: inside.ask("receive", "127.0.0.1", port, CARRIED),
                "direct": lambda: peer.ask("receive", "127.0.0.1", port, CARRIED),
            },
            ROUNDS,
            1e-9,
        )
        pinged = await interleaved(
            {
                "world, relayed": lambda: inside.ask("ping", "127.0.0.1", port),
                "direct": lambda: peer.ask("ping", "127.0.0.1", port),
            },
            PINGS,
            1000,
        )
    direct = pinged[1].median
    return [
        Figure("relay, one stream", "GB/s", carried, Goal(1.5, "at least", "median")),
        Figure(
            "connect and one byte",
            "ms",
            pinged,
            Goal(direct + 0.3, "at most", "median"),
            note="direct + 0.3 ms",
        ),
    ]
