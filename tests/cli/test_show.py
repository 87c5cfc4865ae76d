"""Nothing that an app chose may act on the person's terminal."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libos.cli.show import coloured, columns, harmless


@given(st.text())
def test_what_is_shown_is_printable(text: str) -> None:
    assert harmless(text).isprintable()


@given(st.binary())
def test_names_that_are_no_utf8_are_shown_byte_by_byte(name: bytes) -> None:
    assert harmless(name.decode("utf-8", "surrogateescape")).isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/etc/passwd", "/etc/passwd"),
        ("/home/jürgen", "/home/jürgen"),
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("a\nlibos: fine", r"a\nlibos: fine"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\udcff", r"\xff"),
        ("\x9b31m", r"\x9b31m"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert harmless(text) == shown


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert coloured("x", "31", _Terminal()) == "\x1b[31mx\x1b[0m"
    assert coloured("x", "31", io.StringIO()) == "x"


def test_no_color_turns_colour_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert coloured("x", "31", _Terminal()) == "x"


def test_columns_are_aligned_and_the_last_one_is_free() -> None:
    assert columns([("a", "long words"), ("bbb", "c")], ("N", "W")) == "N    W\na    long words\nbbb  c"


def test_no_rows_are_no_text() -> None:
    assert columns([]) == ""
