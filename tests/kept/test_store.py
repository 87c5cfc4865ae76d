"""Where changes are kept, and who may use them."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from made import app
from scene import NAME, Scene

from libos.errors import ManifestError
from libos.kept import ChangesError, changes, home, keep, names

pytest_plugins = ["kept_scene"]


def test_folders_are_private(scene: Scene, state: Path) -> None:
    for folder in (state / "libos", state / "libos/changes", state / "libos/changes/n"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert home() == state / "libos/changes"
    assert names() == ["n"]


def test_a_folder_that_others_can_write_is_refused(scene: Scene, state: Path) -> None:
    (state / "libos/changes").chmod(0o770)
    with pytest.raises(ChangesError, match=r"can be written by others.*chmod go-w"):
        changes(NAME)
    with pytest.raises(ChangesError, match="written by others"):
        keep(NAME, [("/work", str(scene.host))])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_a_folder_of_somebody_else_is_refused(scene: Scene, state: Path) -> None:
    os.chown(state / "libos/changes/n", 1234, 1234)
    with pytest.raises(ChangesError, match="belongs to uid 1234"):
        changes(NAME)


def test_a_link_in_place_of_the_folder_is_refused(scene: Scene, state: Path, tmp_path: Path) -> None:
    (state / "libos/changes").rename(tmp_path / "elsewhere")
    (state / "libos/changes").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ChangesError):
        changes(NAME)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", ".gone-x", "x" * 49, "a\n", "-x"])
def test_a_name_that_is_no_file_name_is_refused(state: Path, name: str) -> None:
    with pytest.raises(ManifestError, match="cannot name kept changes"):
        changes(name)


def test_an_unknown_name_lists_the_known_ones(scene: Scene) -> None:
    with pytest.raises(ChangesError, match='no changes are kept as "other"; there are: n'):
        changes("other")


def test_a_name_belongs_to_one_directory(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    with pytest.raises(ChangesError, match=r"keeps changes of .*/host at /work, not of .*/second"):
        keep(NAME, [("/work", str(tmp_path / "second"))])


def test_two_mounts_are_kept_apart(state: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for host in (one, two):
        host.mkdir()
    app(NAME, one, 'write("f", "1")', at="/one")
    app(NAME, two, 'write("f", "2")', at="/two")
    assert [each.path for each in changes(NAME)] == ["/one/f", "/two/f"]
    changes(NAME).commit(["/two/f"])
    assert (two / "f").read_text() == "2"
    assert not (one / "f").exists()
    changes(NAME).commit(["f"])
    assert (one / "f").read_text() == "1"


def test_a_damaged_record_says_so(scene: Scene, state: Path) -> None:
    (state / "libos/changes/n/0/originals.json").write_text("{")
    with pytest.raises(ChangesError, match="damaged"):
        changes(NAME)


def test_a_record_of_another_version_is_not_touched(scene: Scene, state: Path) -> None:
    record = state / "libos/changes/n/record.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"version": 2}))
    with pytest.raises(ChangesError, match="another version"):
        changes(NAME)
