"""The learner's folder of a stop: made anew for each run, whatever became of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import trio
import trio.testing

from libos.tour.collection import TourError, collection
from libos.tour.making import new_stop
from libos.tour.reading import read_stop
from libos.tour.workspace import Workspace

ABSENT = collection().get("absent")


@pytest.fixture
async def workspace(tmp_path: Path) -> Workspace:
    """The folder of a stop that has modes."""
    made = Workspace(ABSENT, tmp_path / "home")
    await made.prepare()
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


async def test_it_begins_with_the_starts_manifest_and_keeps_the_learners(workspace: Workspace) -> None:
    assert workspace.manifest.read_bytes() == ABSENT.start.read_bytes()
    assert mode(workspace.folder) == 0o700
    workspace.manifest.write_text("mine")
    await workspace.prepare()
    assert workspace.manifest.read_text() == "mine"
    workspace.begin_anew()
    assert workspace.manifest.read_bytes() == ABSENT.start.read_bytes()


async def test_files_have_the_stops_modes_and_can_be_made_anew(workspace: Workspace) -> None:
    clients = workspace.folder / "files/clients"
    assert mode(clients) == 0o111
    before = workspace.refresh()
    assert mode(clients) == 0o111
    assert set(before) >= {"clients", "clients/ada", "clients/ada/contract", "app/ask.py"}
    assert workspace.state() == before


async def test_what_was_removed_and_spoiled_is_there_again(workspace: Workspace) -> None:
    before = workspace.state()
    os.chmod(workspace.folder / "files/clients", 0o700)
    (workspace.folder / "files/clients/mine/contract").write_text("spoiled")
    (workspace.folder / "files/app/ask.py").unlink()
    (workspace.folder / "files/app/ask.py").mkdir(mode=0)
    after = workspace.state()
    changed = {path for path in before if before[path] != after[path]}
    assert changed == {"clients/mine/contract", "app/ask.py"}
    assert workspace.refresh() == before


async def test_a_folder_that_was_removed_is_made_again(workspace: Workspace) -> None:
    workspace.remove()
    assert not workspace.folder.exists()
    await workspace.prepare()
    assert workspace.manifest.exists()


async def test_nothing_is_followed_out_of_the_folder(workspace: Workspace, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o700)
    (kept / "file").write_text("precious")
    os.chmod(kept / "file", 0o600)
    workspace.remove()
    workspace.folder.mkdir()
    (workspace.folder / "files").symlink_to(kept)
    (workspace.folder / "attack").mkdir()
    (workspace.folder / "attack/link").symlink_to(kept)
    await workspace.prepare()
    assert (mode(kept), mode(kept / "file"), (kept / "file").read_text()) == (0o700, 0o600, "precious")
    assert not (workspace.folder / "files").is_symlink()
    (workspace.folder / "files/out").symlink_to(kept)
    assert workspace.state()["out"] == f"link {kept}"
    workspace.remove()
    assert (kept / "file").read_text() == "precious"


async def test_one_run_at_a_time_uses_the_folder(
    workspace: Workspace, autojump_clock: trio.testing.MockClock
) -> None:
    async with workspace.alone():
        with pytest.raises(TourError, match="another libos tour runs something here"):
            await workspace.fresh()
    await workspace.fresh()


async def test_a_mode_follows_no_link_out_of_the_folder(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o700)
    (kept / "file").touch(mode=0o600)
    new_stop(tmp_path / "mine")
    (tmp_path / "mine/files/out").symlink_to(kept)
    modes = '[modes]\n"out" = "777"\n"out/file" = "666"\n"none" = "700"\n"home/notes" = "500"\n'
    text = (tmp_path / "mine/stop.toml").read_text()
    (tmp_path / "mine/stop.toml").write_text(f"{text}\n{modes}")
    workspace = Workspace(read_stop(tmp_path / "mine"), tmp_path / "home")
    await workspace.prepare()
    assert (mode(kept), mode(kept / "file")) == (0o700, 0o600)
    assert mode(workspace.folder / "files/home/notes") == 0o500


async def test_where_nothing_can_be_made_it_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(TourError, match="it must be a folder of yours with room in it"):
        await Workspace(ABSENT, tmp_path / "home").prepare()


async def test_a_full_disk_leaves_the_learners_manifest(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.manifest.write_text("mine")

    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(TourError, match="No space left on device"):
        workspace.begin_anew()
    assert workspace.manifest.read_text() == "mine"
