"""The table, the notes and the JSON form, by value; the places that are chosen; the toolbox."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from libos.errors import ManifestError
from libos.manifest import from_mapping, load
from libos.namespace import HostSource
from libos.plan import lower
from libos.surface.places import (
    Bubblewrap,
    Outside,
    World,
    places,
    prepared,
    profile_for,
    profiles_of,
    reaching,
)
from libos.surface.survey import Survey
from libos.surface.telling import closing, notes, percent, size, surveys_json, table
from libos.surface.toolbox import AT, Toolbox, packed

OUTSIDE = Survey("outside", "a process", files=20_000, bytes=5 << 30, system_calls=379)
WORLD = Survey(
    "app.toml",
    "the manifest app.toml",
    needed=True,
    files=11,
    bytes=1 << 20,
    system_calls=290,
    system_calls_checked=18,
    shared_namespaces=("time",),
)
GONE = Survey("bwrap", "bwrap --x", problem="bwrap is not installed")


def row(text: str, words: str) -> list[str]:
    line = next(line for line in text.split("\n") if line.startswith(words))
    return re.split(r" {2,}", line)[1:]


def test_a_row_has_numbers_and_their_share_of_the_outside() -> None:
    text = table([OUTSIDE, GONE, WORLD])
    assert row(text, "files that it sees") == ["20,000", "-", "11 (0.055%)"]
    assert row(text, "bytes that it can read")[-1] == "1 MiB (0.02%)"
    assert row(text, "system calls")[-1] == "290, 18 by arguments"
    assert row(text, "namespaces shared")[-1] == "1 (time)"
    assert text.endswith("bwrap: bwrap --x\napp.toml: the manifest app.toml")


def test_a_walk_that_was_stopped_gives_no_shares_and_says_so() -> None:
    cut = Survey("outside", "a process", files=5000, complete=False)
    text = table([cut, WORLD])
    assert "5,000+" in text
    assert "%" not in row(text, "files that it sees")[-1]
    assert row(text, "attack surface") == ["-", "-"]
    assert notes([cut, WORLD])[0].startswith("the walk was stopped (outside)")
    assert closing([cut, WORLD]) == ["app.toml shows 11 of at least 5,000 files: at most 0.22%"]


def test_the_last_line_is_what_part_of_all_files_is_shown() -> None:
    assert closing([OUTSIDE, GONE, WORLD]) == ["app.toml shows 11 of 20,000 files: 0.055%"]
    assert closing([GONE, WORLD]) == []


def test_json_has_every_number_and_both_axes() -> None:
    said = surveys_json([OUTSIDE, GONE, WORLD])
    outside, gone, world = said["places"]
    assert (said["version"], outside["attack_surface_percent"], outside["complexity"]) == (1, 100, 20_000)
    assert gone["problem"] == "bwrap is not installed"
    assert (world["files"], world["files_percent"], world["doors"]["system_calls"]) == (11, 0.055, 0.7652)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1500, "1.46 KiB"),
        (1 << 60, "1024 PiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("part", "text"),
    [(100.0, "100%"), (8.14, "8.1%"), (0.0553, "0.055%"), (0.0, "0%"), (4e-7, "under 0.001%")],
)
def test_percentages(part: float, text: str) -> None:
    assert percent(part) == text


def test_the_places_are_outside_bubblewrap_the_profile_and_the_manifest(tmp_path: Path) -> None:
    manifest = tmp_path / "app.toml"
    manifest.write_text('libos = 1\ninclude = ["python"]\n')
    found = places([str(manifest)])
    assert [type(each) for each in found] == [Outside, Bubblewrap, World, World]
    assert [each.name for each in found] == ["outside", "bwrap", "profile python", "app.toml"]
    assert [each.needed for each in found if isinstance(each, World)] == [False, True]
    assert "--unshare-all" in found[1].about


def test_two_manifests_of_one_profile_are_compared_with_it_once(tmp_path: Path) -> None:
    paths = [tmp_path / "one.toml", tmp_path / "two.toml"]
    for path in paths:
        path.write_text("libos = 1\n")
    assert [each.name for each in places(map(str, paths))][2:] == ["profile base", "one.toml", "two.toml"]


def test_several_ways_to_start_bubblewrap_have_numbers() -> None:
    found = places([], (), ["--ro-bind / /", "--bind '/a b' /x"])
    assert [each.name for each in found] == ["outside", "bwrap 1", "bwrap 2", "profile base"]
    assert found[2].about == "bwrap --bind '/a b' /x"


def test_a_command_alone_is_compared_under_its_profile() -> None:
    assert [each.name for each in places([], ("/usr/bin/python3.13", "x.py"))][2:] == ["profile python"]
    assert [profile_for(command) for command in ((), ("git", "status"), ("node",))] == [
        "base",
        "base",
        "node",
    ]


def test_what_is_no_manifest_is_one_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("include = 3")
    assert profiles_of(str(broken)) == ("base",)
    with pytest.raises(ManifestError, match="include"):
        places([str(broken)])
    with pytest.raises(ManifestError):
        places([str(tmp_path / "absent.toml")])


def test_what_would_act_on_the_outside_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "app.toml"
    path.write_text(
        "libos = 1\n[app]\nname = 'x'\n[[listen]]\nport = 80\npublish = '127.0.0.1:8000'\n"
        "[limits]\nmemory = '8M'\n[network]\ncapture = 'x.pcapng'\n[[dial]]\nto = 'tcp!192.0.2.1!443'\n"
        "http = [{ method = ['GET'], path = '/**' }]\n"
        "[[secret]]\nname = 'T'\ncommand = ['false']\nheader = 'x'\nto = ['tcp!192.0.2.1!443']\n"
    )
    made = prepared(load(path), Toolbox(("/x/python",), ()), "code", "order")
    assert made.app.command == ("/x/python", "-I", "-S", "-c", "code", "order")
    assert (made.listens, made.secrets, made.network.capture, made.app.name) == ((), (), None, None)
    assert made.limits.memory is None
    assert [dial.to for dial in made.dials] == ["tcp!192.0.2.1!443"]


def test_what_is_served_and_written_leaves_the_world(tmp_path: Path) -> None:
    mounts = [
        {"at": "/a", "host": str(tmp_path), "mode": "read-write", "hide": ["x"]},
        {"at": "/b", "host": str(tmp_path), "mode": "read-write"},
        {"at": "/c", "host": str(tmp_path), "mode": "copy-on-write", "hide": ["x"]},
        {"at": "/d", "host": str(tmp_path), "hide": ["x"]},
        {"at": "/e", "memory": "1M", "append_only": True},
    ]
    assert reaching(lower(from_mapping({"mount": mounts}))) == ["/a"]


def test_the_toolbox_is_one_folder_and_starts_by_its_own_linker() -> None:
    box = packed(
        "/usr/bin/python3.13", "/lib/ld.so.2", {"libc.so.6": "/lib/libc-2.41.so"}, "/usr/lib/python3.13"
    )
    assert box.command == (f"{AT}/bin/ld.so", "--library-path", f"{AT}/lib", f"{AT}/bin/python3")
    assert {mount.at: mount.source for mount in box.mounts} == {
        f"{AT}/bin/python3": HostSource("/usr/bin/python3.13"),
        f"{AT}/bin/ld.so": HostSource("/lib/ld.so.2"),
        f"{AT}/lib/libc.so.6": HostSource("/lib/libc-2.41.so"),
        f"{AT}/lib/python3.13": HostSource("/usr/lib/python3.13"),
    }


def test_a_static_interpreter_starts_by_itself() -> None:
    assert packed("/opt/p", None, {}, "/opt/lib/python3.12").command == (f"{AT}/bin/python3",)
