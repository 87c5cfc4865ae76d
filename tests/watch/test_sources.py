"""Where the events come from: files that are read and followed, and what a person names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from watched import HAPPENED, START

from libos.control.folder import ControlError
from libos.events import Event
from libos.seen.reading import EventsError
from libos.watch.sources import FileSource, source_of


class Got:
    """What a source has told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._told = asyncio.Event()

    def take(self, events: list[Event]) -> None:
        self.events += events
        self._told.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._told.wait()
            self._told.clear()


def follow(path: Path, use: Callable[[FileSource, Got], object]) -> None:
    async def run() -> None:
        source, got = FileSource(str(path)), Got()
        with source.followed(got.take):
            await use(source, got)  # type: ignore[misc]  # it is a coroutine function

    asyncio.run(run())


def lines(events: list[Event]) -> bytes:
    return "".join(f"{each.json()}\n" for each in events).encode()


def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    file.write_bytes(lines(HAPPENED * 200))  # several pieces

    async def use(source: FileSource, got: Got) -> None:
        await got.until(lambda: len(got.events) == 200 * len(HAPPENED))
        assert [each.kind for each in got.events[: len(HAPPENED)]] == [each.kind for each in HAPPENED]
        assert "event file" in source.why_not_running

    follow(file, use)


def test_a_file_is_followed_while_it_grows(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    file.write_bytes(b"")

    async def use(source: FileSource, got: Got) -> None:
        for number in range(1, 4):
            whole = lines([START])
            with file.open("ab") as writing:
                writing.write(whole[:20])
                writing.flush()
                writing.write(whole[20:])
            await got.until(lambda: len(got.events) == number)  # noqa: B023 - awaited at once

    follow(file, use)


def test_a_file_that_is_made_anew_says_so(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    file.write_bytes(lines(HAPPENED))

    async def use(source: FileSource, got: Got) -> None:
        await got.until(lambda: len(got.events) == len(HAPPENED))
        file.write_bytes(lines([START]))
        await got.until(lambda: bool(source.trouble))
        assert source.trouble == "the file was begun anew; look at it anew"

    follow(file, use)


def test_what_is_no_event_is_told(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    file.write_bytes(b"no event\n\xff\n" + lines([START]))

    async def use(source: FileSource, got: Got) -> None:
        await got.until(lambda: len(got.events) == 1)
        assert source.trouble == "2 lines are no events"

    follow(file, use)


def test_a_newer_version_is_told_and_ends_it(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    file.write_bytes(lines([START]).replace(b'"version": 1', b'"version": 2'))

    async def use(source: FileSource, got: Got) -> None:
        await got.until(lambda: source.over)
        assert "version 2" in source.trouble

    follow(file, use)


@pytest.fixture
def _no_worlds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.mark.usefixtures("_no_worlds")
def test_a_name_is_a_file_where_no_such_world_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("run", "run.jsonl", "./run"):
        Path(name).write_bytes(b"")
        source = source_of(name)
        assert isinstance(source, FileSource)
        assert source.name == name
        source.close()


@pytest.mark.usefixtures("_no_worlds")
@pytest.mark.parametrize(
    ("what", "error", "why"),
    [
        (None, ControlError, "no world is running; libos watch FILE"),
        ("web", ControlError, 'no world named "web" is running'),
        ("missing.jsonl", EventsError, "missing.jsonl: No such file"),
        ("/", EventsError, "/: Is a directory"),
    ],
)
def test_what_cannot_be_looked_at_is_one_message(what: str | None, error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        source_of(what)
