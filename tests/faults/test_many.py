"""Many worlds: at once, and one after another; and a world that asks for a great many names. Nothing is left
of them in the supervisor and its keeper: no descriptor, no mount, no process, no memory."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trio

import libos

pytestmark = pytest.mark.system

NULL = subprocess.DEVNULL
each = pytest.mark.parametrize
soak = pytest.mark.soak
LAUNCHES = int(os.environ.get("LIBOS_TEST_LAUNCHES", "10000"))
# Launches after which the caches of functions and names are nearly full: in the 2,000 after these come some
# 700 small blocks, most of them in the first hundreds.
WARM = 40
# Blocks of Python's allocator by which memory may differ: fewer than one a launch where there are 2,000.
SLACK_BLOCKS = 1500
# Bytes from malloc(3), and of the keeper's memory: where there are 2,000 launches, 200 each.
SLACK_BYTES = 400_000
ASKING = """
import os, sys
for number in range(int(sys.argv[1])):
    try:
        os.stat(f"/absent-{number}")
    except FileNotFoundError:
        pass
"""


class Memory(NamedTuple):
    """What is in use, whatever the process holds of the kernel's.

    The resident size of this process says less: a launch leaves cycles, which Python frees when they are a
    quarter of all its objects (gc.set_threshold), so between two collections it grows by megabytes, in a
    process of the tests more than in a small one.
    """

    blocks: int
    heap: int
    keeper: int

    def within(self, before: Memory) -> bool:
        """Whether it differs from what was in use before by no more than the slack."""
        slack = (SLACK_BLOCKS, SLACK_BYTES, SLACK_BYTES)
        return all(now < then + most for now, then, most in zip(self, before, slack, strict=True))


class Held(NamedTuple):
    """What the supervisor's process (this one) and the keeper's inside half hold."""

    descriptors: tuple[int, int]
    mounts: int
    processes: int
    memory: Memory


class MallInfo(ctypes.Structure):
    """struct mallinfo2 of mallinfo(3), of all arenas together."""

    _fields_ = (
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks")),
        *((name, ctypes.c_size_t) for name in ("fsmblks", "uordblks", "fordblks", "keepcost")),
    )


def held(keeper: int) -> Held:
    inside = int(Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()[0])
    return Held(
        (len(os.listdir("/proc/self/fd")), len(os.listdir(f"/proc/{inside}/fd"))),
        len(Path(f"/proc/{inside}/mountinfo").read_text().splitlines()),
        len(Path(f"/proc/{inside}/task/{inside}/children").read_text().split()),
        _memory(inside),
    )


def _memory(inside: int) -> Memory:
    gc.collect()
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = MallInfo
    heap = mallinfo()
    status = Path(f"/proc/{inside}/status").read_text()
    (private,) = (line.split()[1] for line in status.splitlines() if line.startswith("RssAnon:"))
    return Memory(sys.getallocatedblocks(), heap.uordblks + heap.hblkhd, int(private) * 1024)


@pytest.fixture
async def supervisor() -> AsyncIterator[libos.Supervisor]:
    async with libos.Supervisor() as made:
        yield made


def manifest(*command: str) -> dict[str, Any]:
    return {
        "libos": 1,
        "include": ["python"],
        "app": {"command": list(command)},
        "mount": [{"at": "/note", "text": "served"}, {"at": "/memory", "memory": "1M"}],
        "dial": [{"to": "tcp!127.0.0.1!9"}],
    }


async def run(supervisor: libos.Supervisor, *command: str) -> None:
    """One world, from its start to its end."""
    app = await supervisor.start(manifest(*command), stdin=NULL, stdout=NULL, stderr=NULL)
    assert (await app.wait()).returncode == 0


def is_flat(before: Held, after: Held, *, memory: bool) -> bool:
    """Whether nothing was left."""
    return (
        all(now <= then for now, then in zip(after.descriptors, before.descriptors, strict=True))
        and (after.mounts, after.processes) == (before.mounts, before.processes)
        and (not memory or after.memory.within(before.memory))
    )


async def settled(supervisor: libos.Supervisor) -> Held:
    """What is held when the spare world stands."""
    await supervisor.spare_ready()
    return held(supervisor._keeper._process.pid)


async def leaves_nothing(supervisor: libos.Supervisor, before: Held, *, memory: bool = True) -> None:
    """As little is held as before, once what works in the background is done; what has leaked stays."""
    with trio.move_on_after(10):
        while not is_flat(before, await settled(supervisor), memory=memory):  # noqa: ASYNC110 - /proc tells nobody
            await trio.sleep(0.05)
    after = await settled(supervisor)
    assert is_flat(before, after, memory=memory), (before, after)


@pytest.mark.timeout(3600)
@each("count", [100, pytest.param(2000, marks=[soak, pytest.mark.brief]), pytest.param(LAUNCHES, marks=soak)])
async def test_launches_one_after_another_leave_nothing(supervisor: libos.Supervisor, count: int) -> None:
    for _ in range(WARM):
        await run(supervisor, "/bin/true")
    before = await settled(supervisor)
    for _ in range(count):
        await run(supervisor, "/bin/true")
    await leaves_nothing(supervisor, before)


@pytest.mark.timeout(1800)
@each("count", [25, pytest.param(200, marks=[soak, pytest.mark.brief])])
async def test_many_worlds_at_once_run_and_leave_nothing(supervisor: libos.Supervisor, count: int) -> None:
    await several(supervisor, WARM)  # root keeps some id-mapped namespaces of worlds for the next ones
    before = await settled(supervisor)
    await several(supervisor, count)
    await leaves_nothing(supervisor, before, memory=False)


async def several(supervisor: libos.Supervisor, count: int) -> None:
    """Worlds at once, each of which answers."""
    apps = []
    for _ in range(count):
        apps.append(await supervisor.start(manifest("cat"), stdin=subprocess.PIPE, stdout=NULL, stderr=NULL))
    assert len(supervisor.apps) == count
    probes = [await app.exec(["/bin/cat", "/note"], stdin=NULL, stdout=NULL) for app in apps]
    for probe in probes:
        assert (await probe.wait()).returncode == 0
    async with trio.open_nursery() as nursery:
        for app in apps:
            assert app.stdin is not None
            await app.stdin.aclose()
            nursery.start_soon(app.wait)


@pytest.mark.timeout(3600)
@each("count", [20_000, pytest.param(1_000_000, marks=soak)])
async def test_names_that_are_absent_take_no_memory(supervisor: libos.Supervisor, count: int) -> None:
    await run(supervisor, "python3", "-c", ASKING, "11000")  # what is remembered of refusals is full then
    before = await settled(supervisor)
    await run(supervisor, "python3", "-c", ASKING, str(count))
    await leaves_nothing(supervisor, before)
