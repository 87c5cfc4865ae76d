"""Connections of a world: what the gate's relay carries and adds, against pasta, slirp4netns and connecting
directly."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import trio

import libos
from benchmarks import peers
from benchmarks.measure import Figure, Goal, Sample, Subject, interleaved
from benchmarks.worker import Worker, in_world, outside

ROUNDS = 11
PINGS = 100
# Bytes carried for one sample of the throughput, by all streams together.
CARRIED = 1 << 28
STREAMS = 8
# Connections of one sample, and how many are on their way at once.
CONNECTIONS = 1000
AT_ONCE = 32
# Requests of one sample.
REQUESTS = 300


@asynccontextmanager
async def load_servers() -> AsyncIterator[dict[str, int]]:
    """The load servers, in a process of their own; gives their ports on 127.0.0.1 by what each does."""
    command = [sys.executable, "-I", str(Path(__file__).parent / "load.py")]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield json.loads(await process.stdout.receive_some())
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stdout.aclose()


# Each subject's worker, and the host at which it finds the load servers. In the order of a table.
Workers = dict[str, tuple[Worker, str]]


@asynccontextmanager
async def workers(supervisor: libos.Supervisor, ports: dict[str, int]) -> AsyncIterator[Workers]:
    """One in a world that may dial these ports, one for each peer that this user can run, one outside."""
    dials = [{"to": f"tcp!127.0.0.1!{port}"} for port in ports.values()]
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        made: Workers = {"world, relayed": (await enter(in_world(supervisor, dial=dials)), "127.0.0.1")}
        if peers.can_run():
            made["pasta -T"] = await enter(peers.pasta(ports.values())), "127.0.0.1"
            made["slirp4netns"] = await enter(peers.slirp4netns()), peers.SLIRP_HOST
        made["direct"] = await enter(outside()), "127.0.0.1"
        yield made


async def measure(supervisor: libos.Supervisor, scratch: Path) -> list[Figure]:
    """Throughput of one stream and of eight, the time to connect and get one byte, connections a second."""
    async with load_servers() as ports, workers(supervisor, ports) as all_of_them:

        async def sampled(rounds: int, scale: float, name: str, port: str, *more: int) -> list[Subject]:
            def sample(worker: Worker, host: str) -> Sample:
                return lambda: worker.ask(name, host, ports[port], *more)

            samples = {subject: sample(*where) for subject, where in all_of_them.items()}
            return await interleaved(samples, rounds, scale)

        one = await sampled(ROUNDS, 1e-9, "receive", "send", CARRIED)
        eight = await sampled(ROUNDS, 1e-9, "receive", "send", CARRIED, STREAMS)
        pinged = await sampled(PINGS, 1000, "ping", "greet")
        rate = await sampled(ROUNDS, 1, "connect_many", "greet", CONNECTIONS, AT_ONCE)
    return [
        _against("pasta -T", "relay, one stream", "GB/s", one, Goal(1.0, "at least", "ratio")),
        _against("slirp4netns", "the same, one stream", "GB/s", one, Goal(2.0, "at least", "ratio")),
        _against("pasta -T", "relay, eight streams", "GB/s", eight, Goal(0.9, "at least", "ratio")),
        _against("pasta -T", "connect and one byte", "ms", pinged, Goal(1.2, "at most", "ratio")),
        _against("pasta -T", "connections", "a second", rate, Goal(0.85, "at least", "ratio")),
    ]


def _against(peer: str, what: str, unit: str, subjects: Sequence[Subject], goal: Goal) -> Figure:
    """The ratio to one of the peers, which comes second; none is wanted where that was not measured."""
    first, *others = subjects
    if not any(each.name == peer for each in others):
        return Figure(what, unit, subjects, note=f"{peer} needs /dev/net/tun")
    return Figure(what, unit, [first, *sorted(others, key=lambda each: each.name != peer)], goal)


async def web(supervisor: libos.Supervisor, scratch: Path) -> list[Figure]:
    """Requests that the gate reads and judges, one after another by one connection."""
    async with load_servers() as ports, outside() as direct:
        port = ports["http"]
        rules = [{"method": ["GET"], "path": "/some/**"}]
        async with in_world(
            supervisor, dial=[{"to": f"tcp!127.0.0.1!{port}", "http": rules, "tls": False}]
        ) as inside:
            subjects = await interleaved(
                {
                    "world, by rules": lambda: inside.ask("request_many", "127.0.0.1", port, REQUESTS),
                    "direct": lambda: direct.ask("request_many", "127.0.0.1", port, REQUESTS),
                },
                ROUNDS,
            )
    return [Figure("HTTP requests, one connection", "a second", subjects)]
