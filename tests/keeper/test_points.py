"""Mount points are made below the root, and never through a link that somebody left there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from libos.keeper import points


@pytest.fixture
def root_fd(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "root").mkdir()
    (tmp_path / "victim").mkdir()
    fd = os.open(tmp_path / "root", os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def test_directories_and_files_are_made_with_their_parents(root_fd: int, tmp_path: Path) -> None:
    points.make(root_fd, "/a/b/c", directory=True)
    points.make(root_fd, "/a/file", directory=False)
    assert (tmp_path / "root/a/b/c").is_dir()
    assert (tmp_path / "root/a/file").is_file()


def test_what_is_there_stays(root_fd: int, tmp_path: Path) -> None:
    (tmp_path / "root/a").mkdir(mode=0o700)
    (tmp_path / "root/a/file").write_text("kept")
    points.make(root_fd, "/a/file", directory=False)
    points.make(root_fd, "/a", directory=True)
    assert (tmp_path / "root/a/file").read_text() == "kept"
    assert (tmp_path / "root/a").stat().st_mode & 0o777 == 0o700


def test_a_link_on_the_way_is_refused(root_fd: int, tmp_path: Path) -> None:
    (tmp_path / "root/link").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match=r"."):
        points.make(root_fd, "/link/below", directory=True)
    assert not list((tmp_path / "victim").iterdir())


def test_a_link_in_the_file_s_place_is_not_followed(root_fd: int, tmp_path: Path) -> None:
    (tmp_path / "root/link").symlink_to(tmp_path / "victim/new")
    points.make(root_fd, "/link", directory=False)
    assert not list((tmp_path / "victim").iterdir())


def test_a_file_on_the_way_is_enotdir(root_fd: int, tmp_path: Path) -> None:
    (tmp_path / "root/file").touch()
    with pytest.raises(NotADirectoryError):
        points.make(root_fd, "/file/below", directory=True)
