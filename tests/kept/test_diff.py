"""How changes are listed, as a patch and as JSON, and which ones patterns name."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from made import app
from scene import NAME, Scene, snapshot

from libos.kept import changes, keep

pytest_plugins = ["kept_scene"]


def test_each_change_has_its_letter_and_both_sides(scene: Scene) -> None:
    found = {each.path.removeprefix("/work/"): each for each in changes(NAME)}
    letters = {path: each.kind for path, each in found.items()}
    assert letters == {
        "modified": "M",
        "mode": "M",
        "folder": "M",
        "deleted": "D",
        "tree": "D",
        "tree/sub": "D",
        "tree/sub/x": "D",
        "tree/y": "D",
        "opaque/a": "D",
        "opaque/b": "A",
        "new": "A",
        "new/deep": "A",
        "new/deep/g": "A",
        "new/f": "A",
        "linked": "A",
        "link": "A",
        "fifo": "A",
        "folder/inner": "A",
        "renamed2": "R",
        "tofile": "T",
        "todir": "T",
        "todir/k": "A",
        "escape": "T",
    }
    assert found["renamed2"].source == "/work/renamed"
    modified = found["modified"]
    assert modified.before is not None
    assert modified.after is not None
    assert (modified.before.size, modified.after.size) == (13, 9)
    assert modified.host == str(scene.host / "modified")
    assert not any(each.conflict for each in found.values())


def test_what_is_opened_for_writing_and_left_as_it_was_is_no_change(state: Path, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host/f").write_text("same\n")
    app(NAME, tmp_path / "host", 'open("f", "r+").close(); os.rename("f", "g"); os.rename("g", "f")')
    assert list(changes(NAME)) == []


def test_changes_can_be_read_while_the_run_goes_on(state: Path, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    keeping = keep(NAME, [("/work", str(tmp_path / "host"))])
    try:
        Path(keeping.folders["/work"], "upper/new").write_text("x")
        assert [each.path for each in changes(NAME)] == ["/work/new"]
    finally:
        keeping.close()


def test_the_patch_makes_the_apps_tree_of_the_hosts(state: Path, tmp_path: Path) -> None:
    host = tmp_path / "host"
    host.mkdir()
    lines = [f"line {number}\n" for number in range(40)]
    (host / "a").write_text("".join(lines))
    (host / "b").write_text("gone\n")
    (host / "c").write_text("moved, with some length\n")
    (host / "no newline").write_text("last")
    program = r"""
        text = open("a").read().replace("line 3\n", "line three\n").replace("line 30\n", "")
        write("a", text); os.chmod("a", 0o755); os.unlink("b"); os.rename("c", "c2")
        write("no newline", "last one"); write("é \t\"", "odd\r name\n"); write("empty", "")
        os.mkdir("d"); write("d/cr", "a\rb\r\nc\n"); os.symlink("a", "l")
    """
    app(NAME, host, program)
    patch = changes(NAME).patch()
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-a", host, copy], check=True)
    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
    subprocess.run(["git", "apply", "--whitespace=nowarn"], input=patch, cwd=copy, check=True)
    subprocess.run(["rm", "-rf", ".git"], cwd=copy, check=True)
    changes(NAME).commit()
    assert snapshot(copy) == snapshot(host)


def test_binary_and_large_files_are_named_in_a_patch(state: Path, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    app(NAME, tmp_path / "host", r'write("zero", "a\0b"); write("large", "x\n" * 600_000)')
    patch = changes(NAME).patch()
    assert b"Binary files /dev/null and b/zero differ\n" in patch
    assert b"Binary files /dev/null and b/large differ\n" in patch


def test_the_json_has_a_version_and_round_trips(scene: Scene) -> None:
    value = json.loads(json.dumps(changes(NAME).json()))
    assert value["version"] == 1
    assert value["mounts"] == [{"at": "/work", "host": str(scene.host)}]
    (renamed,) = (each for each in value["changes"] if each["kind"] == "R")
    assert renamed["source"] == "/work/renamed"
    assert renamed["after"]["type"] == "file"


CHOICES = {
    ("new/",): {"new", "new/deep", "new/deep/g", "new/f"},
    ("/work/new/deep",): {"new", "new/deep", "new/deep/g"},
    ("*f", "!linked"): {"new", "new/f"},
    ("/work",): None,
    ("**",): None,
    ("tree/y",): {"tree/y"},
    ("tree",): {"tree", "tree/sub", "tree/sub/x", "tree/y"},
    ("renamed",): {"renamed2"},
    ("renamed2",): {"renamed2"},
    ("k",): {"todir", "todir/k"},
    ("*", "!/work/tree/sub"): "all but tree, tree/sub, tree/sub/x",
}


@pytest.mark.parametrize("patterns", CHOICES)
def test_patterns_name_changes_and_what_must_go_along(scene: Scene, patterns: tuple[str, ...]) -> None:
    everything = {each.path.removeprefix("/work/") for each in changes(NAME)}
    found = {each.path.removeprefix("/work/") for each in changes(NAME, patterns)}
    wanted = CHOICES[patterns]
    if wanted is None:
        assert found == everything
    elif isinstance(wanted, str):
        assert found == everything - {"tree", "tree/sub", "tree/sub/x"}
    else:
        assert found == wanted
