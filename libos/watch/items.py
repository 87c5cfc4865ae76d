"""Things that are listed, one below another, and may be unfolded. Pure.

Rules: an item's `key` is the same at each drawing, so that the cursor and what is folded stay where they are.
Texts are harmless and short: names as the app chose them do not come further than this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from libos.harmless import harmless
from libos.seen.attempts import Attempt
from libos.seen.connections import ConnectionSeen
from libos.seen.folding import Group
from libos.seen.grants import GrantSeen
from libos.seen.questions import Question
from libos.seen.seen import Limit
from libos.seen.tree import TreeNode

# Characters of a name that are listed: more than any terminal is wide, less than a path may have (4096).
LONGEST = 500

# How a row is drawn: plainly, as a heading, as what was never used, was refused, waits, or is over.
Mark = Literal["plain", "head", "unused", "refused", "asked", "faint"]
# What a row is about, for its details and for the keys.
Subject = GrantSeen | TreeNode | Attempt | Group | Question | ConnectionSeen | Limit | None
Key = tuple[str, ...]


def _none() -> Iterable[Item]:
    return ()


@dataclass(frozen=True)
class Item:
    """One line: `text`, and `tail` at the right end. `below` gives what unfolds, where `folds`; it is open at
    first where `opened`."""

    key: Key
    text: str
    tail: str = ""
    mark: Mark = "plain"
    subject: Subject = None
    folds: bool = False
    opened: bool = False
    below: Callable[[], Iterable[Item]] = _none


@dataclass(frozen=True)
class Line:
    """One line of details, harmless."""

    text: str
    mark: Mark = "plain"


def short(name: str) -> str:
    """The name as it may be shown: harmless, and at most LONGEST characters of it."""
    cut = name if len(name) <= LONGEST else f"{name[:LONGEST]}…"
    return harmless(cut)


def times(count: int) -> str:
    """How often, for a row's tail: "3x"."""
    return f"{count:,}x"
