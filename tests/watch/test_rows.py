"""Lists that fold, and filters that lose nothing."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from libos.watch.items import LONGEST, Item, short
from libos.watch.rows import Words, flattened


def leaf(text: str) -> Item:
    return Item((text,), text)


def tree() -> list[Item]:
    def inner() -> Iterable[Item]:
        return [leaf("shadow"), leaf("passwd")]

    return [Item(("etc",), "etc/", folds=True, below=inner), leaf("home")]


def shown(typed: str = "", **folds: bool) -> tuple[list[tuple[int, str, bool | None]], int]:
    made = flattened(tree(), {(key,): value for key, value in folds.items()}, Words.of(typed))
    return [(row.depth, row.item.text, row.opened) for row in made.rows], made.hidden


def test_what_is_folded_is_one_row() -> None:
    assert shown() == ([(0, "etc/", False), (0, "home", None)], 0)


def test_what_is_unfolded_stands_below() -> None:
    rows, hidden = shown(etc=True)
    assert rows == [(0, "etc/", True), (1, "shadow", None), (1, "passwd", None), (0, "home", None)]
    assert hidden == 0


def test_a_filter_looks_into_what_is_folded_and_counts_what_it_hides() -> None:
    assert shown("SHA") == ([(0, "etc/", True), (1, "shadow", None)], 2)


def test_words_must_all_be_there_and_unwanted_ones_not() -> None:
    assert shown("o -home") == ([(0, "etc/", True), (1, "shadow", None)], 2)
    assert shown("shadow passwd") == ([], 4)


def test_every_line_is_shown_or_counted() -> None:
    everything = len(shown(etc=True)[0])
    for typed in ("", "s", "-s", "etc", "nothing has this", "-"):
        rows, hidden = shown(typed, etc=True)
        assert len(rows) + hidden == everything, typed


def test_a_dash_alone_filters_nothing() -> None:
    assert not Words.of(" - ")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("two\nlines", "two\\nlines"),
        ("\u202efdp.exe", "\\u202efdp.exe"),
        ("caf\udce9", "caf\\xe9"),
        ("x" * 1_000_000, "x" * LONGEST + "…"),
    ],
)
def test_names_are_harmless_and_short(name: str, said: str) -> None:
    assert short(name) == said
