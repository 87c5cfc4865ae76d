"""The lattice of labels of the Orange Book: a level of an order, and a set of categories.

Rules:
- Levels have one order, the lowest first; categories have none. A label is written "secret:nuclear,crypto":
  the level, then its categories.
- One label dominates another when its level is as high or higher and it has all the other's categories. Two
  labels of which neither dominates the other are apart: nothing passes between them.
- Reading needs a label that dominates what is read, writing one that is dominated by what is written: no read
  up, no write down. Both at once need the same label.

DoD 5200.28-STD (Trusted Computer System Evaluation Criteria, 1985), 3.1.1.4; David E. Bell, Leonard J.
LaPadula: "Secure Computer System: Unified Exposition and Multics Interpretation", 1976.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

# A level's or a category's name.
NAME = r"[A-Za-z][A-Za-z0-9_.-]{0,63}"
# What is said of a refusal: which rule it broke. What is above is added to and not overwritten, since whoever
# cannot read a file cannot know what that would destroy.
READ_UP, WRITE_DOWN, WRITE_UP = "no read up", "no write down", "write up only adds to a file"


@dataclass(frozen=True)
class Label:
    """A level, and the categories that go with it."""

    level: str
    categories: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return ":".join(filter(None, (self.level, ",".join(sorted(self.categories)))))


def name(text: str) -> str:
    """The name of a level or of a category. Raises ValueError."""
    if re.fullmatch(NAME, text) is None:
        raise ValueError(f'"{text}" names no level or category: write a letter, then letters, digits, - _ .')
    return text


def parse(text: str) -> Label:
    """The label that a text says, whatever levels there are. Raises ValueError."""
    if re.fullmatch(rf"{NAME}(:{NAME}(,{NAME})*)?", text) is None:
        raise ValueError(
            f'"{text}" is no label: write a level and its categories, as "secret:nuclear,crypto"'
        )
    level, _, categories = text.partition(":")
    return Label(level, frozenset(categories.split(",") if categories else ()))


def ordered(chains: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The one order of levels, the lowest first, that several lists give together, each the lowest first.

    ValueError where a level would stand above itself, and where no list says which of two is higher.
    """
    from graphlib import CycleError, TopologicalSorter  # where labels are used alone

    above: dict[str, set[str]] = {}
    for chain in chains:
        for each in chain:
            above.setdefault(each, set())
        for low, high in pairwise(chain):
            above[high].add(low)
    try:
        order = tuple(TopologicalSorter(above).static_order())
    except CycleError as error:
        way = " < ".join(f'"{each}"' for each in error.args[1])
        raise ValueError(
            f"the levels lead round in a cycle: {way}; write each once, the lowest first"
        ) from None
    for low, high in pairwise(order):
        if low not in above[high]:
            raise ValueError(
                f'no list of levels says which of "{low}" and "{high}" is higher: write both in one'
            )
    return order


@dataclass(frozen=True)
class Lattice:
    """The levels and categories that there are."""

    levels: tuple[str, ...]
    categories: frozenset[str] = frozenset()

    @property
    def lowest(self) -> Label:
        """What everything dominates: the label of what has none."""
        return Label(self.levels[0])

    def label(self, text: str) -> Label:
        """The label that a text says. ValueError for a level or a category that is not declared."""
        label = parse(text)
        if label.level not in self.levels:
            raise ValueError(
                f'"{text}": no level is named "{label.level}"; [labels] has {_listed(self.levels)}'
            )
        for unknown in sorted(label.categories - self.categories):
            known = _listed(sorted(self.categories)) or "none"
            raise ValueError(f'"{text}": no category is named "{unknown}"; [labels] has {known}')
        return label

    def dominates(self, one: Label, other: Label) -> bool:
        """Whether `one` stands as high as `other`, or higher."""
        as_high = self.levels.index(one.level) >= self.levels.index(other.level)
        return as_high and one.categories >= other.categories

    def broken(self, subject: Label, thing: Label, *, reads: bool, writes: bool) -> str:
        """The rule that a use of a thing breaks, or ""."""
        if reads and not self.dominates(subject, thing):
            return READ_UP
        if writes and not self.dominates(thing, subject):
            return WRITE_DOWN
        return ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
