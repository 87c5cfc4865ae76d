"""A change of a file is noticed once, whenever it was made."""

from __future__ import annotations

from pathlib import Path

import trio

from libos.tour.watching import Watch


async def is_noticed(watch: Watch, within: float = 30) -> bool:
    with trio.move_on_after(within):
        await watch.changed()
        return True
    return False


async def test_a_change_that_was_made_before_anybody_waits_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "manifest.toml"
    file.write_text("one")
    watch = Watch(file)
    file.write_text("another")
    assert await is_noticed(watch)
    watch.note()
    assert not await is_noticed(watch, 0.5)


async def test_a_file_that_is_replaced_removed_and_there_again_is_noticed_each_time(tmp_path: Path) -> None:
    file = tmp_path / "manifest.toml"
    file.write_text("one")
    watch = Watch(file)
    (tmp_path / "new").write_text("one")
    (tmp_path / "new").replace(file)
    assert await is_noticed(watch)
    watch.note()
    file.unlink()
    assert not await is_noticed(watch, 0.5)
    file.write_text("again")
    assert await is_noticed(watch)
