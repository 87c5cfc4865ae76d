"""What a stop is, as frozen values. Pure.

Rules: a stop is data that somebody may have handed over. Nothing in it is code for this process: programs are
named by the words of a command that is run in a world (or, under `chroot`, in a root that has nothing else).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from libos.tour.checks import Check, Pattern
from libos.tour.story import Story

# The run of the manifest's own command, and that of the attack.
APP, ATTACK = "app", "attack"
# Where a stop's attack stands in the world.
ATTACK_FOLDER = "/tour"
# A learner gets help in so many steps.
HINTS = 3

Place = Literal["world", "chroot"]


@dataclass(frozen=True)
class Question:
    """What is to be predicted: choices have the keys a, b, c …; `answer` is one of these keys."""

    asks: str
    choices: tuple[str, ...]
    answer: str
    because: str

    @property
    def keys(self) -> str:
        """The keys of the choices."""
        return "abcdefgh"[: len(self.choices)]


@dataclass(frozen=True)
class Program:
    """A program besides the app. `command` is run with what the manifest grants; `under` chroot it is run
    outside of any world."""

    name: str
    command: tuple[str, ...]
    under: Place = "world"


@dataclass(frozen=True)
class Outside:
    """A service that the tour itself plays: whoever is let out to this address reads the answer."""

    address: str
    answer: str


@dataclass(frozen=True)
class Stop:
    """One stop. `programs` are the attack and what else is run; `look` chooses the events that are shown;
    `modes` are permission bits of paths below `files`."""

    name: str
    folder: Path
    number: int
    title: str
    question: Question
    programs: tuple[Program, ...]
    checks: tuple[Check, ...]
    hints: tuple[str, ...]
    story: Story
    outside: tuple[Outside, ...] = ()
    look: tuple[Pattern, ...] = ()
    modes: Mapping[str, int] | None = None

    @property
    def start(self) -> Path:
        """The manifest that the learner begins with."""
        return self.folder / "start.toml"

    @property
    def solution(self) -> Path:
        """A manifest that passes."""
        return self.folder / "solution.toml"

    def program(self, name: str) -> Program:
        """A program by its name; KeyError where there is none."""
        return {each.name: each for each in self.programs}[name]
