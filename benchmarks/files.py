"""Files of a world: lowered to kernel mounts, and served by Python, against the same files outside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
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


def below_bindfs(folder: Path, point: Path) -> list[str]:
    """The command that mounts bindfs (C, libfuse) in namespaces of its own and runs a worker there."""
    point.mkdir(exist_ok=True)
    script = 'point=$2; bindfs --no-allow-other "$1" "$2" || exit; shift 2; "$@"; umount "$point"'
    return [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        script,
        "sh",
        str(folder),
        str(point),
    ]


async def served(supervisor: libos.Supervisor, scratch: Path) -> list[Figure]:
    """A tree that Python answers: stats that nothing has cached, and reads that the kernel has cached."""
    folder = make_files(scratch)
    large = str(folder / "large")
    point = scratch / "bindfs"
    with tree(folder) as node:
        async with (
            in_world(supervisor, mount=[{"at": "/data", "node": node}]) as inside,
            outside() as peer,
            outside(below_bindfs(folder, point)) as bindfs,
        ):
            stats = await interleaved(
                {
                    "world, served": _fresh_stats(inside, "/data"),
                    "bindfs": _fresh_stats(bindfs, str(point)),
                    "outside": _fresh_stats(peer, str(folder)),
                },
                STAT_SAMPLES,
            )
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
    ]


def _fresh_stats(worker: Worker, folder: str) -> Sample:
    numbers = count(0, STATS)

    async def sample() -> float:
        return 1 / await worker.ask("stat_numbered", folder, next(numbers), STATS)

    return sample
