"""The probe on trees whose numbers are known, as its own process meets them."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from libos.surface.probe import KERNEL, Mount, Walk, mounts

ORDER: dict[str, Any] = {
    "most": 10_000,
    "seconds": 1000.0,
    "host_devices": {"1:1"},
    "reaching": [],
    "leave_out": "",
}


def mount(point: Path, options: str = "rw", device: str = "1:1", kind: str = "ext4") -> Mount:
    escaped = str(point).replace(" ", "\\040")
    return Mount(f"1 0 {device} / {escaped} {options} - {kind} none rw")


def walked(*mounts: Mount, **order: Any) -> dict[str, Any]:
    walk = Walk(ORDER | order, list(mounts))
    walk.run()
    return {key: value for key, value in walk.counts.items() if value} | {"complete": walk.complete}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Four files, one of them under two names, in two directories; and a link that leads out."""
    top = tmp_path / "a tree"
    (top / "below").mkdir(parents=True)
    (top / "one").write_bytes(b"12345")
    (top / "tool").write_bytes(b"#!")
    (top / "tool").chmod(0o4755)
    os.link(top / "one", top / "below" / "again")
    (top / "out").symlink_to("/")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(top / "sock"))
    return top


def test_a_file_with_two_names_counts_once_and_a_link_is_not_followed(tree: Path) -> None:
    assert walked(mount(tree)) == {
        "files": 4,
        "bytes": 7,
        "directories": 2,
        "writable": 2,
        "writable_bytes": 7,
        "makeable": 2,
        "programs": 1,
        "setuid": 1,
        "setuid_works": 1,
        "sockets": 1,
        "complete": True,
    }


def test_nosuid_leaves_the_bit_without_effect(tree: Path) -> None:
    assert "setuid_works" not in walked(mount(tree, "rw,nosuid"))


def test_what_the_worlds_own_file_system_holds_is_a_copy(tree: Path) -> None:
    found = walked(mount(tree, device="0:77"))
    assert (found["copies"], "writable" in found, "makeable" in found) == (2, False, False)


def test_what_is_served_and_leads_out_is_none(tree: Path) -> None:
    (tree / "below" / "own").write_bytes(b"123")
    found = walked(mount(tree, device="0:77"), reaching=[f"{tree}/below"])
    assert (found["copies"], found["writable"], found["makeable"]) == (2, 1, 1)


def test_a_directory_that_is_mounted_twice_counts_once(tree: Path) -> None:
    assert walked(mount(tree), mount(tree / "below")) == walked(mount(tree))


def test_the_kernels_own_files_and_the_probes_are_none(tree: Path) -> None:
    for kind in KERNEL:
        assert walked(mount(tree, kind=kind)) == {"complete": True}
    assert walked(mount(tree), leave_out=f"{tree}/below")["directories"] == 1
    assert walked(mount(tree), mount(tree / "below"), leave_out=f"{tree}/below")["directories"] == 1


def test_a_file_that_is_mounted_singly_counts_once(tree: Path) -> None:
    assert walked(mount(tree / "one"), mount(tree))["files"] == 4
    assert walked(mount(tree / "one"))["bytes"] == 5


def test_a_walk_ends_at_its_bounds_and_says_so(tree: Path) -> None:
    assert walked(mount(tree), most=3)["files"] == 3
    assert not walked(mount(tree), most=3)["complete"]
    many = tree / "many"
    many.mkdir()
    for number in range(600):
        (many / str(number)).touch()
    assert not walked(mount(tree), seconds=-1.0)["complete"]


def test_a_directory_that_went_is_nothing_and_one_too_deep_to_name_is_counted(tree: Path) -> None:
    assert walked(mount(tree / "gone")) == {"complete": True}
    folder = os.open(tree, os.O_RDONLY)
    try:
        for _ in range(20):  # 20 names of 250 bytes are longer than a path may be
            os.mkdir("d" * 250, dir_fd=folder)
            below = os.open("d" * 250, os.O_RDONLY, dir_fd=folder)
            os.close(folder)
            folder = below
    finally:
        os.close(folder)
    assert walked(mount(tree))["unreadable"] == 1


def test_the_mounts_of_this_process_are_those_that_can_be_walked() -> None:
    found = {mount.point: mount for mount in mounts()}
    assert len(found) == len(mounts())
    assert {"/", "/proc"} <= set(found)
    root = os.stat("/").st_dev
    assert found["/"].device == f"{os.major(root)}:{os.minor(root)}" or found["/"].kind == "btrfs"


def test_a_line_of_the_mount_table_is_read_with_its_escapes() -> None:
    read = Mount("36 35 98:0 /mnt1 /a\\040b\\134c rw,noatime shared:1 - ext3 /dev/root ro,errors=continue")
    assert (read.point, read.device, read.kind) == ("/a b\\c", "98:0", "ext3")
    assert {"ro", "noatime"} <= read.options
