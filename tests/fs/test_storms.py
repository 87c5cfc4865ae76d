"""After many files the server's tables and memory come back."""

from __future__ import annotations

import gc
import os
import resource
from pathlib import Path

import pytest
import trio
from mounting import mounted

from libos.fs import host_nodes
from libos.fs.host import HostTree

MANY = 100_000


def resident() -> int:
    """Bytes of memory that this process has."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.parametrize("files", [20_000, pytest.param(MANY, marks=pytest.mark.soak)])
async def test_many_files_listed_and_dropped_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    monkeypatch.setattr(host_nodes, "QUIET_AGE", -(10**18))
    inside = tmp_path / "inside"
    for part in range(10):
        (inside / f"d{part}").mkdir(parents=True)
        for number in range(files // 10):
            os.mknod(inside / f"d{part}" / str(number))
    fd = os.open(inside, os.O_RDONLY)
    tree = HostTree(fd, writable=True, capacity=500)
    os.close(fd)
    async with mounted({"w": tree}) as mount:
        inodes = mount.server._operations.inodes
        assert (await mount.run("ls", "w/d0")).status == 0  # what is made once is there
        before, descriptors = resident(), len(os.listdir("/proc/self/fd"))
        assert (
            await mount.python("print(sum(len(names) for *_, names in os.walk('w')))")
        ).out == b"%d\n" % files
        assert len(inodes) > files
        most = resident()
        for part in range(10):  # the kernel lets go of what is below a name that is gone
            (inside / f"d{part}").rename(tmp_path / f"d{part}")
        tree.tree.watches.drain()
        await mount.attachments["w"].settle()
        with trio.fail_after(20):
            # The kernel tells nobody when it is done forgetting; directories come last.
            while len(inodes) > 4 or len(tree.tree._nodes) > 1:  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert len(tree.tree._nodes) == 1
        if files == MANY:  # of few, most stays with the allocator, for the next storm
            assert resident() - before < (most - before) / 2
        assert len(os.listdir("/proc/self/fd")) <= descriptors
        assert mount.faults == []
    tree.close()
