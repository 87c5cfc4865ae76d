"""Which cgroups are found: mount tables as machines have them, and version 2 as folders that look like it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from libos.limits.finding import LEAF, Mount, find, parse_mounts, parse_own
from libos.limits.holding import hold
from libos.limits.model import Cgroup, Place, Setting

HYBRID = """\
30 23 0:26 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate
34 30 0:30 /docker/c /sys/fs/cgroup/memory rw,nosuid shared:15 - cgroup cgroup rw,memory
35 30 0:31 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:16 - cgroup cgroup rw,cpu,cpuacct
"""


def test_a_mount_table_names_each_hierarchy() -> None:
    assert parse_mounts(HYBRID.splitlines(keepends=True)) == [
        Mount("/sys/fs/cgroup/unified", "/", 2, frozenset()),
        Mount("/sys/fs/cgroup/memory", "/docker/c", 1, frozenset({"rw", "memory"})),
        Mount("/sys/fs/cgroup/cpu,cpuacct", "/", 1, frozenset({"rw", "cpu", "cpuacct"})),
    ]
    assert parse_own(["4:memory:/a:b\n", "1:cpu,cpuacct:/x\n", "0::/user.slice\n"]) == {
        "memory": "/a:b",
        "cpu": "/x",
        "cpuacct": "/x",
        "": "/user.slice",
    }


class Tree:
    """A folder that looks like a delegated cgroup of version 2, and the /proc files that lead to it."""

    def __init__(self, top: Path) -> None:
        self.top = top / "cgroup"
        self.proc = top / "proc"
        self.proc.mkdir()
        (self.proc / "mountinfo").write_text(f"31 30 0:27 / {self.top} rw - cgroup2 cgroup2 rw\n")

    def make(self, path: str, controllers: str, enabled: str, *pids: int) -> Path:
        folder = self.top / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.controllers").write_text(controllers)
        (folder / "cgroup.subtree_control").write_text(enabled)
        (folder / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))
        (folder / "cgroup.type").write_text("domain\n")
        (self.proc / "cgroup").write_text(f"0::/{path}\n")
        return folder

    def places(self) -> dict[str, Place]:
        return {str(name): place for name, place in find(str(self.proc)).places}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_the_cgroup_above_is_taken_where_it_has_the_controllers_enabled(tree: Tree) -> None:
    above = tree.make("slice", "memory pids", "memory pids")
    tree.make("slice/leaf", "memory pids", "", 1)
    assert tree.places() == {"memory": Place(2, str(above)), "pids": Place(2, str(above))}


def test_our_own_is_taken_where_it_holds_nobody_but_us(tree: Tree) -> None:
    tree.make("slice", "memory", "")
    own = tree.make("slice/scope", "memory", "", os.getpid())
    assert tree.places() == {"memory": Place(2, str(own), enable=True, leave=True)}


def test_our_own_is_not_taken_where_it_holds_others(tree: Tree) -> None:
    tree.make("slice", "memory", "")
    tree.make("slice/scope", "memory", "", os.getpid(), 1)
    assert tree.places() == {}


def test_the_real_top_needs_no_leaving(tree: Tree) -> None:
    own = tree.make("", "memory pids", "pids", 1)
    (own / "cgroup.type").unlink()
    assert tree.places() == {"memory": Place(2, str(own), enable=True), "pids": Place(2, str(own))}


def test_a_machine_without_cgroups_says_so(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text("")
    (tmp_path / "cgroup").write_text("")
    assert find(str(tmp_path)).why == "no cgroups are mounted here"
    assert find(str(tmp_path / "absent")).places == ()


def test_what_is_held_is_written_and_what_a_kernel_lacks_is_left_out(tmp_path: Path, tree: Tree) -> None:
    own = tree.make("scope", "memory", "", os.getpid())
    (own / LEAF).mkdir()
    (own / LEAF / "cgroup.procs").write_text("")
    name = "world"
    settings = (Setting("memory", "memory.swap.max", "0", optional=True),)
    held = hold(Cgroup((("memory", Place(2, str(own), enable=True, leave=True)),), settings), name)
    assert (own / LEAF / "cgroup.procs").read_text() == str(os.getpid())
    assert (own / "cgroup.subtree_control").read_text() == "+memory"
    (own / name / "memory.peak").write_text("4096\n")
    (own / name / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    assert held.counters() == {"memory_peak": 4096, "memory_kills": 2}
    assert not held.remove()  # a plain folder with files in it, as a cgroup with a process
    for path in (own / name).iterdir():
        path.unlink()
    assert held.remove()
    assert held.remove()


def test_where_a_limit_cannot_be_written_nothing_is_left(tmp_path: Path) -> None:
    cgroup = Cgroup((("pids", Place(2, str(tmp_path))),), (Setting("pids", "pids.max", "5"),))
    with pytest.raises(OSError, match=r"write 5 to .*pids\.max: No such file"):
        hold(cgroup, "world")
    assert list(tmp_path.iterdir()) == []
