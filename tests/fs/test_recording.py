"""What is recorded of the uses of a world's trees, without a kernel: the inodes are made by hand."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from libos.fs import recording
from libos.fs.inodes import Inode, Inodes
from libos.fs.memory import memory_tree
from libos.fs.recording import ABSENT, CREATE, EXECUTE, LOOK, READ, WRITE, Uses, opened_for

Table = Inodes[str | None]


@pytest.fixture
def table() -> Table:
    return Inodes(memory_tree(limit_bytes=1000), None)


@pytest.fixture
def world(table: Table) -> Inode[str | None]:
    """The root of a world."""
    return entered(table, table.root, "world")


@pytest.fixture
def uses() -> Iterator[Uses]:
    uses = Uses(lambda path: b"/mnt" if path == b"/mnt" or path.startswith(b"/mnt/") else None)
    uses.begun = True
    yield uses


def entered(table: Table, parent: Inode[str | None], name: str) -> Inode[str | None]:
    return table.enter(parent, name.encode(), memory_tree(limit_bytes=1000), "world")


def told(uses: Uses) -> list[tuple[str, str, int]]:
    firsts = [(used.path.decode(), recording.OPERATIONS[number], 1) for used, number in uses.firsts(100)]
    return firsts + [(u.path.decode(), recording.OPERATIONS[number], n) for u, number, n in uses.sums(100)]


def test_first_uses_come_one_by_one_and_repetitions_summed(
    uses: Uses, table: Table, world: Inode[str | None]
) -> None:
    file = entered(table, entered(table, world, "mnt"), "file")
    for operation in (LOOK, READ, READ, READ, LOOK):
        uses.note(file, b"", operation)
    expected = [("/mnt/file", "look", 1), ("/mnt/file", "read", 1)]
    assert told(uses) == [*expected, ("/mnt/file", "read", 2), ("/mnt/file", "look", 1)]
    assert told(uses) == []
    assert [(used.mount, used.operations()) for used in uses] == [(b"/mnt", ("look", "read"))]


def test_what_was_only_listed_is_not_known_and_what_was_looked_at_is(
    uses: Uses, table: Table, world: Inode[str | None]
) -> None:
    mnt = entered(table, world, "mnt")
    file, elsewhere = entered(table, mnt, "file"), entered(table, world, "elsewhere")
    uses.note(mnt, b"", recording.LIST)
    assert not uses.is_known(file)
    for inode in (file, elsewhere):
        uses.note(inode, b"", LOOK)
    assert uses.is_known(file)
    assert uses.is_known(elsewhere)  # in no mount: a further look tells nothing either
    uses.moved()
    assert not uses.is_known(file)


def test_what_stands_in_no_mount_is_not_recorded(uses: Uses, table: Table, world: Inode[str | None]) -> None:
    uses.note(world, b"", LOOK)
    uses.note(entered(table, world, "elsewhere"), b"", READ)
    uses.note_name(world, b"", b"absent", ABSENT)
    assert list(uses) == []


def test_a_tree_of_its_own_is_recorded_below_its_place(
    uses: Uses, table: Table, world: Inode[str | None]
) -> None:
    uses.note(world, b"/mnt/below", LOOK)
    uses.note_name(world, b"/mnt/below", b"x", ABSENT)
    assert [used.path for used in uses] == [b"/mnt/below", b"/mnt/below/x"]


def test_a_file_that_moved_is_recorded_where_it_is(
    uses: Uses, table: Table, world: Inode[str | None]
) -> None:
    mnt = entered(table, world, "mnt")
    folder = entered(table, mnt, "folder")
    file = entered(table, folder, "file")
    uses.note(file, b"", READ)
    table.place(file, mnt, b"moved")
    uses.note(file, b"", READ)
    inner = entered(table, folder, "inner")
    uses.note(inner, b"", READ)
    table.place(folder, mnt, b"other")
    uses.moved()
    uses.note(inner, b"", READ)
    paths = [b"/mnt/folder/file", b"/mnt/moved", b"/mnt/folder/inner", b"/mnt/other/inner"]
    assert [used.path for used in uses] == paths


def test_paths_beyond_those_that_are_kept_are_counted(
    uses: Uses, table: Table, world: Inode[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST", 4)
    mnt = entered(table, world, "mnt")
    for name in "abcd":
        uses.note(entered(table, mnt, name), b"", CREATE)
    uses.note_name(mnt, b"", b"e", ABSENT)
    assert [used.path for used in uses] == [b"/mnt/a", b"/mnt/b"]
    assert (uses.beyond, uses.untold(), uses.untold()) == (3, 3, 0)


def test_long_paths_beyond_the_bytes_that_are_kept_are_counted(
    uses: Uses, table: Table, world: Inode[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_BYTES", 40)
    mnt = entered(table, world, "mnt")
    uses.note_name(mnt, b"", b"x" * 15, ABSENT)
    uses.note_name(mnt, b"", b"y" * 15, ABSENT)
    assert ([len(used.path) for used in uses], uses.beyond) == ([20], 1)


@pytest.mark.parametrize("length", [1, 250])
def test_what_an_app_makes_up_does_not_crowd_out_what_it_finds(
    uses: Uses, table: Table, world: Inode[str | None], monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    monkeypatch.setattr(recording, "MOST", 100)
    monkeypatch.setattr(recording, "MOST_BYTES", 10_000)
    mnt = entered(table, world, "mnt")
    folder = entered(table, mnt, "folder")
    folder.made = True
    for number in range(200):
        name = f"{number:03}".ljust(length, "x")
        uses.note_name(mnt, b"", name.encode(), ABSENT)
        uses.note(entered(table, mnt, f"c{name}"), b"", CREATE)
        uses.note(entered(table, folder, name), b"", LOOK)  # it was renamed with its folder
    assert len(uses) <= 50
    uses.note(entered(table, mnt, "secret"), b"", READ)
    assert list(uses)[-1].path == b"/mnt/secret"


def test_one_mount_leaves_room_for_every_other_one_and_all_that_are_bound_have_one_share(
    table: Table, world: Inode[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST", 64)
    uses = Uses(lambda path: path[:2])
    uses.begun, uses.planned = True, {b"/a", b"/b"}
    kept = []
    for mount in "axyzb":
        top, before = entered(table, world, mount), len(uses)
        for number in range(100):
            uses.note(entered(table, top, f"{number}"), b"", READ)
        kept.append(len(uses) - before)
    assert kept == [32, 16, 0, 0, 8]


def test_nothing_is_recorded_before_it_begins(table: Table, world: Inode[str | None]) -> None:
    uses = Uses(lambda path: path)
    uses.note(world, b"", LOOK)
    uses.note_name(world, b"", b"x", ABSENT)
    assert list(uses) == []


def test_who_tells_is_woken_when_there_is_something_new(
    uses: Uses, table: Table, world: Inode[str | None]
) -> None:
    woken: list[int] = []
    uses.wake = lambda: woken.append(1)
    mnt = entered(table, world, "mnt")
    for expected in (1, 2, 2, 2):
        uses.note(mnt, b"", LOOK)
        assert len(woken) == expected


def test_what_a_file_is_opened_for() -> None:
    assert opened_for(os.O_RDONLY) == (READ,)
    assert opened_for(os.O_WRONLY | os.O_TRUNC) == (WRITE,)
    assert opened_for(os.O_RDWR) == (READ, WRITE)
    assert opened_for(os.O_RDONLY | recording.FMODE_EXEC) == (EXECUTE,)
