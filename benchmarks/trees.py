"""A tree of ten thousand files, served: what git and find take for it the second time, against outside; and
stats that the kernel has cached, against bindfs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import trio

import libos
from benchmarks.files import bindfs_worker
from benchmarks.measure import Figure, Goal, Sample, interleaved
from benchmarks.worker import Worker, in_world, outside
from libos.fs import host

ROUNDS = 15
# Each file of a folder so often for a sample of cached stats: milliseconds, and bindfs keeps them a second.
STAT_ROUNDS, STAT_TIMES = 60, 50
FOLDERS, FILES = 100, 100
# Seconds after which the host's files count as quiet, and a little more: libos.fs.host_nodes.QUIET_AGE.
QUIET = 2.2
# What is started; each finds the tree in its working directory.
COMMANDS = {
    "git status": ["/usr/bin/git", "-c", "safe.directory=*", "status", "--porcelain"],
    "find": ["/usr/bin/find", "."],
    "find -newer": ["/usr/bin/find", ".", "-newer", "d0/0.c"],
}


def make_tree(scratch: Path) -> Path:
    """A repository of ten thousand small files in a hundred folders, all committed."""
    folder = scratch / "tree"
    for number in range(FOLDERS):
        (folder / f"d{number}").mkdir(parents=True)
        for file in range(FILES):
            (folder / f"d{number}" / f"{file}.c").write_text(f"{number} {file}\n")
    name = ["-c", "user.name=b", "-c", "user.email=b@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run(["git", "-C", str(folder), *name, *command], check=True)
    return folder


def started(worker: Worker, folder: str, command: Sequence[str]) -> Sample:
    """Milliseconds for a program."""

    async def sample() -> float:
        return await worker.ask("start_in", folder, list(command))

    return sample


async def measure(supervisor: libos.Supervisor, scratch: Path) -> list[Figure]:
    """Each command in a world and outside, on copies of one tree: git writes its index there."""
    inner, outer = make_tree(scratch / "inside"), make_tree(scratch / "outside")
    root_fd = os.open(inner, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    tree = host.HostTree(root_fd, writable=True)
    os.close(root_fd)
    await trio.sleep(QUIET)
    figures = []
    try:
        async with in_world(supervisor, mount=[{"at": "/tree", "node": tree}]) as world, outside() as peer:
            for name, command in COMMANDS.items():
                subjects = {
                    "world, served": started(world, "/tree", command),
                    "outside": started(peer, str(outer), command),
                }
                result = await interleaved(subjects, ROUNDS, 1000)
                figures.append(Figure(f"{name}, 10,000 files", "ms", result, Goal(3.0, "at most", "ratio")))
            figures += await cached_stats(world, outer, scratch / "bindfs")
    finally:
        tree.close()
    return figures


async def cached_stats(world: Worker, outer: Path, point: Path) -> list[Figure]:
    """Stats that no server is asked for, in a world and below bindfs."""
    async with bindfs_worker(outer, point) as bindfs:
        if bindfs is None:
            return []
        subjects = {
            "world, served": stats_of(world, "/tree/d0"),
            "bindfs": stats_of(bindfs, str(point / "d0")),
        }
        result = await interleaved(subjects, STAT_ROUNDS)
    return [Figure("cached stats, served", "/s", result, Goal(1.0, "at least", "ratio"))]


def stats_of(worker: Worker, folder: str) -> Sample:
    """Stats a second of files that were stat before."""

    async def sample() -> float:
        return await worker.ask("stat_known", folder, STAT_TIMES)

    return sample
