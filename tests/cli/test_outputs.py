"""Files that are replaced as a whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from libos.cli.outputs import UnwritableError, check_writable, replace_file


def test_a_file_is_replaced_with_its_mode_and_owner_and_through_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o640)
    owner = 1000 if os.geteuid() == 0 else os.geteuid()
    os.chown(path, owner, -1)
    link.symlink_to("file")
    replace_file(str(link), "new\r\n", "-o")
    assert link.is_symlink()
    assert path.read_bytes() == b"new\r\n"
    assert (path.stat().st_mode & 0o777, path.stat().st_uid) == (0o640, owner)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "link"]


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        replace_file(str(tmp_path / "new"), "x", "-o")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640


def test_what_does_not_please_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def look(made: str) -> None:
        assert Path(made).read_text() == "new"
        raise ValueError

    with pytest.raises(ValueError):
        replace_file(str(path), "new", "-o", look)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_is_no_text_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(UnwritableError, match="not UTF-8"):
        replace_file(str(path), "a\udcff")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", [".", "no/such", "file/below"])
def test_what_cannot_be_written_is_told_of_beforehand(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnwritableError, match="cannot be written"):
        check_writable(str(tmp_path / name), "-o")
    with pytest.raises(UnwritableError):
        replace_file(str(tmp_path / name), "x", "-o")
    check_writable(str(tmp_path / "new"), "-o")
