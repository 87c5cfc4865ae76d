"""The form of an attack, and of the tables of them: what is tried, where it works, what stops it.

A test file has its table as ATTACKS; docs/reference/attacks.md is made of all tables (page.py), so what
stands there is what was run.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Attack:
    """One attack.

    `name` is its function's in the program, or its test's where it is a test of its own. `live` says where
    it is shown to work, `wall` what stops it, `answers` what it must get in a world (names of errnos and
    signals, "nothing" where all goes through and nothing comes of it). `absent` is what a kernel answers
    that has no such thing: then it cannot be shown to work there. `root`: only root can show that it works.
    """

    name: str
    what: str
    live: str
    wall: str
    answers: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    root: bool = False

    def held(self, outcome: str) -> bool:
        """Whether an outcome in a world is one of those that the table names."""
        return outcome.partition(":")[0] in self.answers


def answers(text: str) -> frozenset[str]:
    """Outcomes written with blanks between them."""
    return frozenset(text.split())
