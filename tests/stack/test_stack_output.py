"""What worlds print: cut into lines, kept within a bound, lost without harm."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from libos.errors import SupervisorError
from libos.stack.output import FILE, LINE_MOST, LogBook, files_of, folder_of, lines


class Parts(trio.abc.ReceiveStream):
    def __init__(self, parts: list[bytes]) -> None:
        self.parts = [part for part in parts if part]

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        return self.parts.pop(0) if self.parts else b""

    async def aclose(self) -> None:
        self.parts.clear()


def cut(parts: list[bytes]) -> list[bytes]:
    async def collect() -> list[bytes]:
        return [line async for line in lines(Parts(parts))]

    return trio.run(collect)


@given(st.lists(st.binary(max_size=50)))
def test_lines_are_the_same_however_the_bytes_arrive(parts: list[bytes]) -> None:
    text = b"".join(parts)
    expected = [line.removesuffix(b"\r") for line in text.split(b"\n")]
    if not text.endswith(b"\n"):
        expected[-1] = text.rpartition(b"\n")[2]  # what has no end is kept as it is
    assert cut(parts) == (expected if expected[-1] else expected[:-1])


def test_a_program_that_prints_no_newline_costs_no_memory() -> None:
    found = cut([b"x" * 100_000] * 3 + [b"\nend"])
    assert max(map(len, found)) == LINE_MOST
    assert b"".join(found) == b"x" * 300_000 + b"end"


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LogBook:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return LogBook("shop", 1000, 3)


def records(stack: str = "shop") -> list[dict[str, str]]:
    return [json.loads(line) for path in files_of(stack) for line in path.read_text().splitlines()]


def test_records_are_bounded_and_the_oldest_go_first(book: LogBook, tmp_path: Path) -> None:
    for number in range(100):
        book.add("web", "stdout", str(number))
    book.close()
    assert folder_of("shop") == tmp_path / "libos/stacks/shop"
    assert [path.name for path in files_of("shop")] == [f"{FILE}.2", f"{FILE}.1", FILE]
    assert all(path.stat().st_size <= 1000 for path in files_of("shop"))
    kept = [int(record["line"]) for record in records()]
    assert kept == list(range(kept[0], 100))
    assert len(kept) > 20
    assert records()[0].keys() == {"time", "world", "stream", "line"}


def test_a_second_book_goes_on_where_the_first_one_ended(book: LogBook) -> None:
    book.add("web", "stdout", "one")
    book.close()
    again = LogBook("shop", 1000, 3)
    again.add("web", "stdout", "two")
    again.close()
    assert [record["line"] for record in records()] == ["one", "two"]


def test_one_file_alone_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    book = LogBook("one", 500, 1)
    for number in range(50):
        book.add("a", "stdout", str(number))
    book.close()
    assert [path.name for path in files_of("one")] == [FILE]
    assert records("one")[-1]["line"] == "49"


def test_a_full_disk_loses_records_and_tells_so_later(book: LogBook) -> None:
    book.add("web", "stdout", "before")
    good, book._fd = book._fd, os.open("/dev/full", os.O_WRONLY)
    book.add("web", "stdout", "lost")
    book.add("web", "stdout", "lost too")
    os.close(book._fd)
    book._fd = good
    book.add("web", "stdout", "after")
    book.close()
    assert [(record["stream"], record["line"]) for record in records()] == [
        ("stdout", "before"),
        ("libos", "2 records could not be written"),
        ("stdout", "after"),
    ]


def test_a_folder_that_cannot_be_had_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(SupervisorError, match="XDG_STATE_HOME"):
        LogBook("shop", 1000, 3)
