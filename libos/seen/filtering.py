"""Filters of events that lose nothing: what does not pass is counted. Pure.

Rules: words of one kind are alternatives, different kinds must all agree. `kind:` takes an event's kind or
its part before the dot ("dial"), `op:` an operation, `program:` a program's name, `path:` a path (it and all
below it) or a pattern in which "*" stands for anything, "/" too. Any other word must stand somewhere in what
the event names. A "-" before a word turns it round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from libos.events import Event
from libos.namespace import is_at_or_below
from libos.seen.fields import text, texts

# The fields that name what an event is about, in the order in which a line shows them.
SUBJECTS = (
    "path",
    "address",
    "name",
    "call",
    "secret",
    "feature",
    "limit",
    "method",
    "host",
    "reason",
    "to",
    "program",
)
_WORDS = {"kind": "kind", "op": "op", "operation": "op", "path": "path", "program": "program"}


@dataclass(frozen=True)
class _Word:
    of: str
    value: str
    wanted: bool

    def holds(self, event: Event) -> bool:
        return _HOLDS[self.of](event, self.value)


class Filter:
    """Says which events pass. `passed` and `out` count them."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        self._words = [_word(each) for each in words if each.strip("-")]
        self.passed = 0
        self.out = 0

    @staticmethod
    def of(
        *,
        kinds: Iterable[str] = (),
        operations: Iterable[str] = (),
        paths: Iterable[str] = (),
        programs: Iterable[str] = (),
        words: Iterable[str] = (),
    ) -> Filter:
        """The filter that options say."""
        made = Filter(words)
        for of, values in (("kind", kinds), ("op", operations), ("path", paths), ("program", programs)):
            made._words += [_Word(of, value, True) for value in values]
        return made

    def __bool__(self) -> bool:
        return bool(self._words)

    def passes(self, event: Event) -> bool:
        """Whether an event passes; counts it."""
        passes = self._agrees(event)
        self.passed += passes
        self.out += not passes
        return passes

    def _agrees(self, event: Event) -> bool:
        if any(word.holds(event) for word in self._words if not word.wanted):
            return False
        wanted = [word for word in self._words if word.wanted]
        words = [word for word in wanted if word.of == "word"]
        kinds = {word.of for word in wanted} - {"word"}
        return all(word.holds(event) for word in words) and all(
            any(word.holds(event) for word in wanted if word.of == of) for of in kinds
        )

    def said(self) -> str:
        """What was left out, for a person; "" where nothing was."""
        if not self.out:
            return ""
        return f"{self.out} of {self.out + self.passed} events are filtered out"


def _word(said: str) -> _Word:
    wanted, word = not said.startswith("-"), said.removeprefix("-")
    of, colon, value = word.partition(":")
    return (
        _Word(_WORDS[of], value, wanted) if colon and of in _WORDS and value else _Word("word", word, wanted)
    )


def path_matches(path: str, pattern: str) -> bool:
    """Whether a path is what a `path:` word means."""
    if any(char in pattern for char in "*?["):
        return fnmatchcase(path, pattern)
    return bool(path) and is_at_or_below(path, pattern.rstrip("/") or "/")


def _kind(event: Event, value: str) -> bool:
    return event.kind == value or event.kind.partition(".")[0] == value


def _path(event: Event, value: str) -> bool:
    is_request = event.kind.startswith("http.")
    return not is_request and any(path_matches(text(event.fields, key), value) for key in ("path", "other"))


def _program(event: Event, value: str) -> bool:
    command = texts(event.fields, "command")
    names = (text(event.fields, "program"), command[0].rpartition("/")[2] if command else "")
    return value in names


def _anywhere(event: Event, value: str) -> bool:
    said = (text(event.fields, key) for key in (*SUBJECTS, "operation", "error"))
    return (
        value in event.kind or any(value in each for each in said) or value in texts(event.fields, "command")
    )


_HOLDS: dict[str, Callable[[Event, str], bool]] = {
    "kind": _kind,
    "op": lambda event, value: text(event.fields, "operation") == value,
    "path": _path,
    "program": _program,
    "word": _anywhere,
}
