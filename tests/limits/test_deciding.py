"""How limits are decided, by comparing values: for machines that have cgroups, and for others."""

from __future__ import annotations

import pytest

from libos.errors import HostError
from libos.limits.deciding import DEFAULT_PROCESSES, Host, decide
from libos.limits.missing import refuse
from libos.limits.model import Cgroup, Cgroups, Controller, Place, Setting
from libos.manifest import Limits

ALL: tuple[Controller, ...] = ("memory", "pids", "cpu", "cpuset")
NOTHING = Host(Cgroups, (6, 1))
EVERYTHING = Limits(
    memory=64 << 20,
    processes=20,
    cpus=1.5,
    cpu_share=1024,
    cpuset="0-1",
    cpu_time=1.2,
    open_files=64,
    file_size=4096,
    disk=1 << 20,
    output=10,
)


def having(version: int) -> Host:
    place = Place(2 if version == 2 else 1, "/sys/fs/cgroup/ours")
    return Host(lambda: Cgroups(tuple((each, place) for each in ALL)), (6, 1))


def test_who_says_nothing_has_a_bound_on_processes_and_no_cgroup() -> None:
    decision = decide(Limits(), Host(lambda: pytest.fail("cgroups were asked for"), (6, 1)))
    assert (decision.cgroup, decision.rlimits) == (None, (("nproc", DEFAULT_PROCESSES),))
    assert (decision.disk, decision.output, decision.missing) == (None, None, ())


def test_an_old_kernel_would_count_the_whole_user_so_nothing_is_set() -> None:
    assert decide(Limits(), Host(Cgroups, (5, 13))).rlimits == ()
    (lack,) = decide(Limits(processes=5), Host(Cgroups, (5, 13))).missing
    assert lack.feature == "limits.processes"


def test_version_two_holds_a_world() -> None:
    cgroup = decide(EVERYTHING, having(2)).cgroup
    assert cgroup is not None
    assert cgroup.settings == (
        Setting("memory", "memory.max", "67108864"),
        Setting("memory", "memory.swap.max", "0", optional=True),
        Setting("pids", "pids.max", "24"),
        Setting("cpu", "cpu.max", "150000 100000"),
        Setting("cpu", "cpu.weight", "40"),
        Setting("cpuset", "cpuset.cpus", "0-1"),
    )


def test_version_one_holds_a_world() -> None:
    decision = decide(EVERYTHING, having(1))
    assert decision.cgroup is not None
    assert [(each.file, each.value) for each in decision.cgroup.settings] == [
        ("memory.limit_in_bytes", "67108864"),
        ("memory.memsw.limit_in_bytes", "67108864"),
        ("pids.max", "24"),
        ("cpu.cfs_period_us", "100000"),
        ("cpu.cfs_quota_us", "150000"),
        ("cpu.shares", "1024"),
        ("cpuset.cpus", "0-1"),
    ]
    assert decision.rlimits == (("cpu", 2), ("nofile", 64), ("fsize", 4096))
    assert (decision.disk, decision.output, decision.missing) == (1 << 20, 10, ())


def test_what_only_a_cgroup_holds_is_missing_without_one() -> None:
    decision = decide(EVERYTHING, NOTHING)
    assert decision.cgroup is None
    lacking = ["limits.memory", "limits.cpus", "limits.cpu_share", "limits.cpuset"]
    assert [each.feature for each in decision.missing] == lacking
    assert decision.rlimits[:2] == (("data", 64 << 20), ("nproc", 20))
    with pytest.raises(HostError, match=r"limits\.memory cannot be held.*\nremedy: .*--allow-missing"):
        refuse(decision.missing, lacking[1:])
    refuse(decision.missing, lacking)


def test_each_limit_has_a_line_and_what_is_missing_says_so() -> None:
    told = {each.key: each for each in decide(EVERYTHING, NOTHING).told}
    assert set(told) == {
        key for key in vars(EVERYTHING) if key not in ("time", "origins", "children", "latency")
    }
    assert "MISSING" in told["cpus"].reason
    assert "each process alone" in told["memory"].reason
    assert (told["memory"].asked, told["file_size"].asked, told["output"].asked) == ("64M", "4K", "10 bytes")


def test_changes_that_are_kept_are_on_a_disk_that_nothing_bounds() -> None:
    (lack,) = decide(Limits(disk=1 << 20), NOTHING, kept=True).missing
    assert lack.feature == "limits.disk"


def test_the_ends_of_shares_are_the_ends_of_weights() -> None:
    def weight(share: int) -> str:
        cgroup = decide(Limits(cpu_share=share), having(2)).cgroup
        assert isinstance(cgroup, Cgroup)
        return cgroup.settings[0].value

    assert (weight(2), weight(262_144)) == ("1", "10000")


def test_a_class_of_latency_is_a_weight_of_a_cgroup_and_nothing_else() -> None:
    for latency, shares, weight in (
        ("best-effort", "2", "1"),
        ("normal", "1024", "100"),
        ("priority", "10240", "1000"),
    ):
        idle = (Setting("cpu", "cpu.idle", "1", optional=True),) if latency == "best-effort" else ()
        for version, first in ((1, ("cpu.shares", shares)), (2, ("cpu.weight", weight))):
            cgroup = decide(Limits(latency=latency), having(version)).cgroup
            assert cgroup is not None
            assert cgroup.settings == (Setting("cpu", *first), *idle)
        (lack,) = decide(Limits(latency=latency), NOTHING).missing
        assert lack.feature == "limits.latency"
