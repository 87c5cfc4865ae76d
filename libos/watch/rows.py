"""Items to rows: what is unfolded, and what a filter leaves. Pure.

Rules: a filter loses nothing: what it hides is counted. It looks into what is folded, and shows what is above
that which passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from libos.watch.items import Item, Key


@dataclass(frozen=True)
class Row:
    """An item where it is drawn; `opened` is None where nothing unfolds."""

    item: Item
    depth: int
    opened: bool | None


@dataclass(frozen=True)
class Words:
    """A filter as it is typed: each word must stand in the line, and a word after "-" must not; case does
    not count."""

    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()

    @staticmethod
    def of(typed: str) -> Words:
        """The filter that was typed."""
        words = typed.lower().split()
        return Words(
            tuple(each for each in words if not each.startswith("-")),
            tuple(each[1:] for each in words if each.startswith("-") and len(each) > 1),
        )

    def __bool__(self) -> bool:
        return bool(self.wanted or self.unwanted)

    def pass_item(self, item: Item) -> bool:
        """Whether the item's line passes, or its whole name: of a path the line may show the end alone."""
        line = " ".join((item.text, item.tail, *item.key)).lower()
        return all(each in line for each in self.wanted) and not any(each in line for each in self.unwanted)


@dataclass(frozen=True)
class Rows:
    """What is drawn, and how many lines the filter hides, folded ones too."""

    rows: list[Row]
    hidden: int = 0


def flattened(items: Iterable[Item], folds: Mapping[Key, bool], words: Words) -> Rows:
    """The rows of items. `folds` says of keys whether the person opened or closed them."""
    if words:
        found = [_filtered(item, 0, words) for item in items]
        rows = [row for each in found for row in each.rows]
        return Rows(rows, sum(each.hidden for each in found))
    rows = []
    left = [(item, 0) for item in reversed(list(items))]
    while left:
        item, depth = left.pop()
        opened = folds.get(item.key, item.opened) if item.folds else None
        rows.append(Row(item, depth, opened))
        if opened:
            left += [(inner, depth + 1) for inner in reversed(list(item.below()))]
    return Rows(rows)


def _filtered(item: Item, depth: int, words: Words) -> Rows:
    below = [_filtered(inner, depth + 1, words) for inner in item.below()] if item.folds else []
    rows = [row for each in below for row in each.rows]
    hidden = sum(each.hidden for each in below)
    if rows or item.mark == "head" or words.pass_item(item):
        return Rows([Row(item, depth, bool(rows) if item.folds else None), *rows], hidden)
    return Rows([], hidden + 1)
