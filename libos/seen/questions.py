"""The questions of `ask` that wait for an answer, as `ask` and `answer` events tell them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from libos.seen.fields import Fields, text, whole

# Open questions that are remembered; a world has at most 10,000 operations under way.
MOST = 10_000


@dataclass(frozen=True)
class Question:
    """One that is open. `what` is a path, or of "connect" an address; `id` is its number in the world."""

    id: int
    what: str
    operation: str
    time: float


class QuestionsSeen:
    """The open questions of one world, oldest first."""

    def __init__(self) -> None:
        self._open: dict[int, Question] = {}

    def __iter__(self) -> Iterator[Question]:
        return iter(self._open.values())

    def __len__(self) -> int:
        return len(self._open)

    def asked(self, time: float, fields: Fields) -> None:
        """Take the event of a question."""
        number = whole(fields, "id")
        if number is not None and len(self._open) < MOST:
            what = text(fields, "path") or text(fields, "address")
            self._open[number] = Question(number, what, text(fields, "operation"), time)

    def answered(self, fields: Fields) -> None:
        """Take the event of an answer, or of its end without one."""
        self._open.pop(whole(fields, "id") or 0, None)

    def end(self) -> None:
        """Nobody waits any more: the app has ended."""
        self._open.clear()
