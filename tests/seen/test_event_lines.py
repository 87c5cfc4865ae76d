"""Event files are read strictly, in bounded memory, and say what was wrong in them."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from libos.events import LONGEST_TEXT, VERSION, Event
from libos.seen import EventLines, EventsError, open_events
from libos.seen.reading import MAX_LINE


def line(kind: str = "path.absent", **fields: object) -> bytes:
    return json.dumps({"version": 1, "time": 1.0, "world": "w", "kind": kind, **fields}).encode() + b"\n"


def events_of(lines: EventLines, *parts: bytes) -> list[Event]:
    return [event for part in parts for event in lines.feed(part)] + list(lines.end())


def test_an_event_read_back_is_the_event_that_was_written() -> None:
    written = Event("dial.open", "w", {"address": "tcp!h!1", "connection": 3, "pid": None}, 12.5)
    (read,) = events_of(EventLines("f"), written.json().encode() + b"\n")
    assert read == written


@pytest.mark.parametrize("cut", [1, 7, 30])
def test_lines_come_whole_however_the_bytes_are_cut(cut: int) -> None:
    data = line(path="/a") + line(path="/b")
    parts = [data[at : at + cut] for at in range(0, len(data), cut)]
    assert [event.fields["path"] for event in events_of(EventLines("f"), *parts)] == ["/a", "/b"]


def test_a_newer_version_is_refused_with_both_versions() -> None:
    newer = line().replace(b'"version": 1', b'"version": 7')
    with pytest.raises(EventsError, match=rf"run.jsonl:2: an event of version 7.*reads version {VERSION}"):
        events_of(EventLines("run.jsonl"), line() + newer)


def test_a_last_line_that_is_cut_is_noted() -> None:
    lines = EventLines("f")
    assert len(events_of(lines, line() + line()[:-20])) == 1
    assert (lines.cut, lines.garbage, lines.notes()) == (True, 0, ["f: the last line is cut"])


def test_a_last_line_without_its_end_is_an_event() -> None:
    lines = EventLines("f")
    assert len(events_of(lines, line() + line()[:-1])) == 2
    assert lines.notes() == []


@pytest.mark.parametrize(
    "garbage",
    [
        b"nonsense",
        b"[1]",
        b"{}",
        b'"\xff\xfe"',
        b"[" * 100_000,
        b'{"version": 1, "time": "now", "world": "w", "kind": "error"}',
        b'{"version": 1, "time": 1, "world": [], "kind": "error"}',
        b'{"version": 1, "time": 1e999, "world": "w", "kind": "error"}',
        b'{"version": 1, "time": NaN, "world": "w", "kind": "error"}',
        b'{"version": 1, "time": 1' + b"0" * 400 + b', "world": "w", "kind": "error"}',
        b'{"version": "1", "time": 1, "world": "w", "kind": "error"}',
    ],
)
def test_garbage_is_passed_over_and_counted_with_its_line(garbage: bytes) -> None:
    lines = EventLines("f")
    assert len(events_of(lines, line() + garbage + b"\n" + line())) == 2
    assert (lines.garbage, lines.garbage_lines) == (1, [2])
    assert lines.notes() == ["f: line 2 is no event; passed over"]


def test_kinds_that_are_not_known_pass() -> None:
    (event,) = events_of(EventLines("f"), line("a.new.kind", what=1))
    assert str(event.kind) == "a.new.kind"


def test_a_line_that_is_too_long_is_counted_and_the_next_one_read() -> None:
    lines = EventLines("f")
    long = [b'{"path": "' + b"x" * 1000, *[b"y" * 65536] * (MAX_LINE // 65536 + 1), b'"}\n']
    assert len(events_of(lines, line(), *long, line())) == 2
    assert (lines.long, lines.garbage) == (1, 0)


def test_a_name_of_megabytes_is_cut() -> None:
    (event,) = events_of(EventLines("f"), line(path="/" + "x" * 2_000_000))
    assert len(str(event.fields["path"])) == LONGEST_TEXT + 1


def test_a_huge_file_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    block = line(path="/etc/shadow") * 10_000
    with path.open("wb") as file:
        for _ in range(10):
            file.write(block)
    tracemalloc.start()
    with open_events(str(path)) as file:
        count = sum(1 for _ in file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 100_000
    assert peak < path.stat().st_size / 3


def test_a_growing_file_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(line(path="/a") + line(path="/b")[:10])
    with open_events(str(path)) as file, path.open("ab") as writer:
        following = file.follow()
        first = next(following)
        assert first is not None
        assert first.fields["path"] == "/a"
        assert next(following) is None
        writer.write(line(path="/b")[10:])
        writer.flush()
        second = next(event for event in following if event is not None)
        assert second.fields["path"] == "/b"


def test_a_file_that_is_emptied_while_it_is_followed_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(line(path="/a") * 3)
    with open_events(str(path)) as file:
        following = file.follow()
        assert sum(event is not None for event in (next(following) for _ in range(3))) == 3
        path.write_bytes(line(path="/new"))
        event = next(event for event in following if event is not None)
        assert event.fields["path"] == "/new"


def test_a_file_that_is_not_there_is_one_clear_message(tmp_path: Path) -> None:
    path = str(tmp_path / "none.jsonl")
    with (
        pytest.raises(EventsError, match="No such file or directory; libos run --events FILE writes one"),
        open_events(path),
    ):
        pass
