"""The control folder is private, its names are taken once, and what is stale goes."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from libos.control.folder import ControlError, check_name, folder_path, open_folder
from libos.errors import ManifestError


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_the_folder_is_made_for_its_owner_alone(runtime: Path) -> None:
    with open_folder() as folder:
        assert folder.path == runtime / "libos"
    assert (runtime / "libos").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("value", ["", "relative", "/does/not/exist", "/etc/passwd"])
def test_without_a_runtime_folder_there_is_one_below_tmp(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", value)
    assert folder_path() == Path(f"/tmp/libos-{os.geteuid()}")


def test_a_runtime_folder_of_somebody_else_is_not_used(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:
        os.chown(runtime, 1000, 1000)
    else:
        monkeypatch.setenv("XDG_RUNTIME_DIR", "/")
    assert folder_path() == Path(f"/tmp/libos-{os.geteuid()}")


def test_a_folder_that_others_can_enter_is_refused(runtime: Path) -> None:
    (runtime / "libos").mkdir()
    (runtime / "libos").chmod(0o755)
    with pytest.raises(ControlError, match="chmod 700"), open_folder():
        pass


def test_a_folder_of_somebody_else_is_refused(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = os.geteuid()
    (runtime / "libos").mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(ControlError, match=f"belongs to uid {owner}"), open_folder():
        pass


def test_a_link_in_place_of_the_folder_is_refused(runtime: Path) -> None:
    (runtime / "elsewhere").mkdir(mode=0o700)
    (runtime / "libos").symlink_to("elsewhere")
    with pytest.raises(ControlError), open_folder():
        pass


def test_a_file_in_place_of_the_folder_is_refused(runtime: Path) -> None:
    (runtime / "libos").touch(mode=0o600)
    with pytest.raises(ControlError), open_folder():
        pass


def test_a_name_is_taken_once() -> None:
    with open_folder() as folder, folder.listen("a"):
        with pytest.raises(ControlError, match='a world named "a" is running'):
            folder.listen("a")
        with folder.listen("b"):
            assert folder.names() == ["a", "b"]


def test_a_socket_that_nobody_listens_on_is_taken_over() -> None:
    with open_folder() as folder:
        folder.listen("a").close()
        assert folder.names() == ["a"]
        with folder.listen("a"), folder.connect("a"):
            pass


def test_sweeping_removes_what_nobody_listens_on_and_nothing_else(runtime: Path) -> None:
    with open_folder() as folder, folder.listen("alive"):
        folder.listen("dead").close()
        (runtime / "libos" / "notes.txt").touch()
        folder.sweep()
        assert folder.names() == ["alive"]
        assert (runtime / "libos" / "notes.txt").exists()


def test_a_world_that_is_not_there_is_named(runtime: Path) -> None:
    with open_folder() as folder:
        with pytest.raises(ControlError, match='no world named "ghost"'):
            folder.connect("ghost")
        folder.listen("dead").close()
        with pytest.raises(ControlError, match='no world named "dead"'):
            folder.connect("dead")


def test_the_longest_name_fits_in_the_deepest_folder(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = runtime / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    with open_folder() as folder, folder.listen("n" * 63), folder.connect("n" * 63) as connection:
        assert connection.family == socket.AF_UNIX


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/",
        "/a",
        "a,b",
        "a/../b",
        "x/" * 40 + "x",
        "-x",
        "a b",
        "a\n",
        "x" * 64,
        "\x1b[2J",
        "ä",
    ],
)
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(ManifestError):
        check_name(name)


def test_removing_twice_is_no_error() -> None:
    with open_folder() as folder:
        with folder.listen("a"):
            folder.remove("a")
        folder.remove("a")
        assert folder.names() == []
