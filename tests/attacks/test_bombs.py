"""Programs that take all they can get: each is shown to get it where it may, and is held where it may not.

As root the limits are a cgroup's (v1 or v2, whichever this machine has); an ordinary user without a delegated
one has resource limits, and is refused what these cannot hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from accounts import Account
from attacking import programs
from worlds import Result, RunError, Worlds

from libos.limits.deciding import OWN_PROCESSES

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
pytest_plugins = ["running"]

MIB = 1 << 20


@pytest.fixture(scope="module")
def bombs() -> Iterator[Path]:
    with programs() as folder:
        yield folder


class Range:
    """Where the bombs of one account go off."""

    def __init__(self, account: Account, worlds: Worlds, folder: Path) -> None:
        self.account = account
        self._worlds = worlds
        self._folder = folder

    def controllers(self) -> set[str]:
        """The controllers of cgroups that this account may use."""
        code = "import json; from libos.limits.finding import find; print(json.dumps(dict(find().places)))"
        return set(json.loads(self.account.run(self.account.python("-c", code), check=True).stdout))

    def run(self, name: str, goal: int, place: str = "/tmp", **limits: Any) -> Result:
        """Let a bomb take up to `goal` under these limits."""
        manifest: dict[str, Any] = {
            "include": ["python"],
            "app": {"command": ["python3", "/attacks/bombs.py", name, str(goal), place]},
            "mount": [
                {"at": "/attacks", "host": str(self._folder)},
                {"at": "/small", "memory": "1M"},
                {"at": "/copy", "host": str(self._folder), "mode": "copy-on-write"},
                {"at": "/served", "host": str(self._folder), "mode": "copy-on-write", "revocable": True},
            ],
            "allow_missing": limits.pop("allow_missing", []),
            "limits": limits,
        }
        return self._worlds.run(manifest=manifest, check=False)

    def got(self, name: str, goal: int, place: str = "/tmp", **limits: Any) -> tuple[int, str]:
        """How much it got, and what stopped it."""
        done = self.run(name, goal, place, **limits)
        assert done.status == 0, (done.reason, done.err)
        got, stopped = (done.out or done.err).split()[-2:]
        return int(got), stopped


@pytest.fixture
def ground(as_user: Account, worlds: Worlds, bombs: Path) -> Range:
    return Range(as_user, worlds, bombs)


@pytest.mark.parametrize("bomb", ["forks", "threads", "zombies"])
def test_a_bomb_of_processes_threads_or_zombies_ends_at_the_number_of_processes(
    ground: Range, bomb: str
) -> None:
    assert ground.got(bomb, 60, processes=100) == (60, "goal")
    got, stopped = ground.got(bomb, 60, processes=20)
    # Beside the bomb itself; a cgroup counts three of libos, which are not always there.
    assert (stopped, 19 <= got < 23) == ("EAGAIN", True), got


def test_of_orphans_nothing_is_left_however_many(ground: Range) -> None:
    assert ground.got("orphans", 2000, processes=20) == (2000, "goal")


def test_timers_that_run_out_all_the_time_end_at_the_number_of_open_files(ground: Range) -> None:
    assert ground.got("alarms", 500, open_files=1000) == (500, "goal")
    assert ground.got("alarms", 500, open_files=64) == (61, "EMFILE")  # beside the three streams


def test_a_fork_bomb_ends_where_nothing_was_said(ground: Range) -> None:
    assert ground.got("forks", 5000) == (4095, "EAGAIN")


def test_a_fork_bomb_is_told_of_where_a_cgroup_counts(ground: Range) -> None:
    if "pids" not in ground.controllers():
        pytest.skip("this account has no pids cgroup; RLIMIT_NPROC tells nobody")
    done = ground.run("forks", 60, processes=20)
    assert done.of_kind("limit.hit")[0]["limit"] == "processes"
    (end,) = done.of_kind("app.exit")
    assert end["used"]["processes"] == 20 + OWN_PROCESSES
    assert ground.run("forks", 10, processes=20).of_kind("limit.hit") == []


@pytest.mark.parametrize("bomb", ["memory", "shared_memory", "memory_of_many"])
def test_a_memory_bomb_ends_at_the_memory_of_its_world(ground: Range, bomb: str) -> None:
    if "memory" not in ground.controllers():
        with pytest.raises(RunError, match=r"limits\.memory cannot be held: .*\n.*allow_missing"):
            ground.run(bomb, 150 * MIB, memory="64M")
        return
    assert ground.got(bomb, 150 * MIB, memory="512M")[1] == "goal"
    done = ground.run(bomb, 150 * MIB, memory="64M")
    assert done.of_kind("limit.hit")[0]["limit"] == "memory"
    (end,) = done.of_kind("app.exit")
    assert end["used"]["memory"] <= 64 * MIB
    if bomb == "memory_of_many" and done.status == 0:
        return  # the kernel chose children, one after another, and the world went on
    assert (done.status, done.reason, end["reason"]) == (-9, "memory", "memory")


def test_files_in_memory_count_as_memory(ground: Range) -> None:
    if "memory" not in ground.controllers():
        pytest.skip("this account has no memory cgroup, and is refused")
    assert ground.got("disk", 100 * MIB, memory="512M")[1] == "goal"
    done = ground.run("disk", 100 * MIB, memory="32M")
    assert (done.status, done.reason) == (-9, "memory")


def test_a_limit_that_may_be_missing_is_told_of_and_holds_each_process(ground: Range) -> None:
    if "memory" in ground.controllers():
        pytest.skip("this account has a memory cgroup: nothing is missing")
    done = ground.run("memory", 150 * MIB, memory="64M", allow_missing=["limits.memory"])
    assert done.of_kind("missing")[0]["feature"] == "limits.memory"
    got, stopped = done.out.split()
    assert (stopped, int(got) < 64 * MIB) == ("ENOMEM", True)


def test_a_descriptor_bomb_ends_at_the_number_of_open_files(ground: Range) -> None:
    assert ground.got("descriptors", 500, open_files=1000) == (500, "goal")
    assert ground.got("descriptors", 500, open_files=64) == (61, "EMFILE")  # beside the three streams


@pytest.mark.parametrize("place", ["/copy", "/served", "/dev/shm"])
def test_a_disk_bomb_ends_at_the_size_of_what_is_in_memory(ground: Range, place: str) -> None:
    assert ground.got("disk", 4 * MIB, place, disk="8M") == (4 * MIB, "goal")
    got, stopped = ground.got("disk", 4 * MIB, place, disk="1M")
    assert (stopped, 0 < got <= MIB) == ("ENOSPC", True)


def test_a_disk_bomb_ends_at_the_size_of_a_memory_mount(ground: Range) -> None:
    assert ground.got("disk", 4 * MIB) == (4 * MIB, "goal")
    got, stopped = ground.got("disk", 4 * MIB, "/small")
    assert (stopped, 0 < got <= MIB) == ("ENOSPC", True)


@pytest.mark.parametrize("place", ["/small", "/copy"])
def test_an_inode_bomb_ends_at_what_the_size_holds(ground: Range, place: str) -> None:
    assert ground.got("inodes", 2000) == (2000, "goal")
    got, stopped = ground.got("inodes", 2000, place, disk="1M")
    assert (stopped, 0 < got <= 1024) == ("ENOSPC", True)


def test_a_file_beyond_its_size_is_told_as_the_reason(ground: Range) -> None:
    assert ground.got("disk", MIB, file_size="2M") == (MIB, "goal")
    assert ground.got("disk", MIB, file_size="128K") == (128 * 1024, "EFBIG")  # Python ignores SIGXFSZ


def test_a_spin_ends_at_its_processor_time(ground: Range) -> None:
    assert ground.got("spin", 100, cpu_time=20)[1] == "goal"
    done = ground.run("spin", 60_000, cpu_time=1)
    assert (done.status, done.reason) == (-24, "cpu_time")


def test_a_spin_is_throttled_to_its_quota(ground: Range) -> None:
    if "cpu" not in ground.controllers():
        with pytest.raises(RunError, match=r"limits\.cpus cannot be held"):
            ground.run("spin", 300, cpus=0.2)
        return
    assert ground.run("spin", 300, cpus=8).of_kind("limit.hit") == []
    done = ground.run("spin", 300, cpus=0.2)
    assert {each["limit"] for each in done.of_kind("limit.hit")} == {"cpus"}  # once a second, and at the end


def test_an_output_flood_ends_at_its_limit(ground: Range) -> None:
    assert ground.run("output", 100_000, output="1M").out.count("x" * 1000) == 100
    done = ground.run("output", 1 << 30, output="100K")
    assert (done.status, done.reason, len(done.out)) == (-9, "output", 100 * 1024)
