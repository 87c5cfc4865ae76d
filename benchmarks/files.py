"""Files of a world: lowered to kernel mounts, and served by Python, against the same files outside."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path

import libos
from benchmarks.measure import Figure, Goal, Sample, interleaved
from benchmarks.worker import PYTHON, Worker, in_world, outside
from libos.fs import host

ROUNDS = 25
# Bytes of the file for large reads: beyond the processor's caches, within every machine's memory.
LARGE = 256 << 20
# Files for uncached stats: a fresh run of this many for each sample, none looked at twice.
STATS = 500
STAT_SAMPLES = 12


def make_files(scratch: Path) -> Path:
    """The folder that is read: one large file, and numbered empty ones."""
    folder = scratch / "data"
    if folder.exists():
        return folder
    folder.mkdir()
    with open(folder / "large", "wb") as file:
        for _ in range(LARGE >> 20):
            file.write(os.urandom(1 << 20))
        # Out of the page cache: what was just written lies there in larger pieces than what is read.
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    for sample in range(STAT_SAMPLES + 8):
        for number in range(sample * STATS, (sample + 1) * STATS):
            (folder / str(number)).touch()
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)  # everybody may read: the world's app is somebody else when root runs this
    return folder


async def lowered(supervisor: libos.Supervisor, scratch: Path) -> list[Figure]:
    """python3's start, stat and large reads, through mounts of the kernel's."""
    folder = make_files(scratch)
    large = str(folder / "large")
    async with (
        in_world(supervisor, mount=[{"at": "/data", "host": str(folder)}]) as inside,
        outside() as peer,
    ):
        start = [PYTHON, "-I", "-c", "pass"]
        started = await interleaved(
            {"world": lambda: inside.ask("start", start), "outside": lambda: peer.ask("start", start)},
            60,
            1000,
        )
        stats = await interleaved(
            {
                "world": lambda: inside.ask("stat_all", "/usr/bin", 20),
                "outside": lambda: peer.ask("stat_all", "/usr/bin", 20),
            },
            ROUNDS,
            1e6,
        )
        reads = await interleaved(
            {"world": lambda: inside.ask("read", "/data/large"), "outside": lambda: peer.ask("read", large)},
            ROUNDS,
            1e-9,
        )
    return [
        Figure("python3 -c pass", "ms", started, Goal(1.05, "at most", "ratio")),
        Figure("stat, lowered", "us", stats, Goal(1 / 0.95, "at most", "ratio")),
        Figure("large reads, lowered", "GB/s", reads, Goal(0.95, "at least", "ratio")),
    ]


@contextmanager
def tree(folder: Path) -> Iterator[host.HostTree]:
    """The folder as a served tree."""
    root_fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield host.HostTree(root_fd, writable=False)
    finally:
        os.close(root_fd)


def below_bindfs(folder: Path, point: Path, processor: int | None = None) -> list[str]:
    """The command that mounts bindfs (C, libfuse) in namespaces of its own and runs a worker there; bindfs
    stays on `processor`."""
    point.mkdir(exist_ok=True)
    mount = "bindfs" if processor is None else f"taskset -c {processor} bindfs"
    script = f'point=$2; {mount} --no-allow-other "$1" "$2" || exit; shift 2; "$@"; umount "$point"'
    namespaces = ["unshare", "--user", "--map-root-user", "--mount"]
    return [*namespaces, "sh", "-c", script, "sh", str(folder), str(point)]


@asynccontextmanager
async def bindfs_worker(
    folder: Path, point: Path, processor: int | None = None
) -> AsyncIterator[Worker | None]:
    """A worker that sees the folder through bindfs; None, and a line that says so, where there is none."""
    if shutil.which("bindfs") is None:
        print("skipped: comparison with bindfs, which is not installed", file=sys.stderr)
        yield None
        return
    async with outside(below_bindfs(folder, point, processor)) as worker:
        yield worker


async def served(supervisor: libos.Supervisor, scratch: Path) -> list[Figure]:
    """A tree that Python answers: stats that nothing has cached, and reads that the kernel has cached."""
    folder = make_files(scratch)
    large = str(folder / "large")
    with tree(folder) as node:
        async with (
            in_world(supervisor, mount=[{"at": "/data", "node": node}]) as inside,
            outside() as peer,
            bindfs_worker(folder, scratch / "bindfs") as bindfs,
        ):
            subjects = {"world, served": _fresh_stats(inside, "/data")}
            if bindfs is not None:
                subjects["bindfs"] = _fresh_stats(bindfs, str(scratch / "bindfs"))
            subjects["outside"] = _fresh_stats(peer, str(folder))
            stats = await interleaved(subjects, STAT_SAMPLES)
            reads = await interleaved(
                {
                    "world, served": lambda: inside.ask("read", "/data/large"),
                    "outside": lambda: peer.ask("read", large),
                },
                ROUNDS,
                1e-9,
            )
    return [
        Figure("uncached stats, served", "/s", stats, Goal(5000, "at least", "median")),
        Figure("warm reads, served", "GB/s", reads, Goal(0.8, "at least", "ratio")),
        *await pinned(supervisor, scratch),
    ]


async def pinned(supervisor: libos.Supervisor, scratch: Path) -> list[Figure]:
    """Uncached stats and cached reads against bindfs, both servers on one processor; the clients on another
    one, or on the same."""
    processors = sorted(os.sched_getaffinity(0))
    server = processors[0]
    places = {"one processor": server}
    if len(processors) > 1:
        places = {"two processors": processors[1], **places}
    figures: list[Figure] = []
    os.sched_setaffinity(0, {server})
    try:
        for place, client in places.items():
            figures += await _against_bindfs(supervisor, scratch, place, server, client)
    finally:
        os.sched_setaffinity(0, processors)
    return figures


async def _against_bindfs(
    supervisor: libos.Supervisor, scratch: Path, place: str, server: int, client: int
) -> list[Figure]:
    folder, point = make_files(scratch), scratch / "bindfs"
    with tree(folder) as node:
        async with (
            in_world(supervisor, mount=[{"at": "/data", "node": node}]) as inside,
            bindfs_worker(folder, point, server) as bindfs,
        ):
            if bindfs is None:
                return []
            workers = {"world, served": (inside, "/data"), "bindfs": (bindfs, str(point))}
            for worker, _ in workers.values():
                await worker.ask("pin", client)
            stats = await interleaved({name: _fresh_stats(*at) for name, at in workers.items()}, STAT_SAMPLES)
            reads = await interleaved(
                {name: _large_reads(*at) for name, at in workers.items()}, STAT_SAMPLES, 1e-9
            )
    goal = Goal(0.9 if server != client else 0.5, "at least", "ratio")
    return [
        Figure(f"uncached stats, {place}", "/s", stats, goal),
        Figure(f"cached reads, {place}", "GB/s", reads, Goal(1.0, "at least", "ratio")),
    ]


def _large_reads(worker: Worker, folder: str) -> Sample:
    async def sample() -> float:
        return await worker.ask("read", f"{folder}/large")

    return sample


def _fresh_stats(worker: Worker, folder: str) -> Sample:
    numbers = count(0, STATS)

    async def sample() -> float:
        return 1 / await worker.ask("stat_numbered", folder, next(numbers), STATS)

    return sample
