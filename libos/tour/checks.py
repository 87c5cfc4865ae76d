"""What a check asks of a program's run, and how it is judged. Pure.

Rules:
- A check is data: a status, texts that are printed or not, events that are told or not, files that stay as
  they are. It never sees what the learner typed, only what happened.
- Whatever goes wrong while a check is judged is the check's own fault: its outcome is then "broken", which is
  neither a pass nor the learner's failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

Outcome = Literal["holds", "fails", "broken"]
# The fields that an event must have: texts by a pattern (`*`, `?`), everything else by its value.
Pattern = Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """What was seen of one run: the status as `libos run` gives it (None where nothing was started, and
    `error` says why), what was printed and told, the paths below `files` that the run changed, and how many
    `calls` its world lets through and `grants` its manifest has. Beyond the events that are kept, `lost`
    were told."""

    status: int | None
    ended: str = ""
    output: str = ""
    events: tuple[Mapping[str, Any], ...] = ()
    changed: frozenset[str] = frozenset()
    error: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0


@dataclass(frozen=True)
class Check:
    """One check of the run of one program; what is not asked for is empty."""

    says: str
    run: str
    status: int | None = None
    ended: str | None = None
    prints: tuple[str, ...] = ()
    prints_not: tuple[str, ...] = ()
    told: tuple[Pattern, ...] = ()
    told_not: tuple[Pattern, ...] = ()
    untouched: tuple[str, ...] = ()
    at_most: Mapping[str, int] = field(default_factory=dict)

    @property
    def asks(self) -> bool:
        """Whether it asks for anything, so that it can fail."""
        return self.status is not None or self.ended is not None or any(self._lists())

    def _lists(self) -> Iterator[tuple[Any, ...]]:
        yield from (self.prints, self.prints_not, self.told, self.told_not, self.untouched)
        yield tuple(self.at_most)

    def wrong(self, seen: Seen) -> Iterator[str]:
        """What is not as the check wants it, a sentence each."""
        if seen.status is None:
            yield f"it could not be run: {seen.error}"
            return
        if self.status is not None and seen.status != self.status:
            yield f"its exit status is {seen.status}, not {self.status}"
        if self.ended is not None and seen.ended != self.ended:
            yield f"it was ended by {seen.ended or 'nothing'}, not by {self.ended}"
        yield from (f"it does not print: {each}" for each in self.prints if each not in seen.output)
        yield from (f"it prints: {each}" for each in self.prints_not if each in seen.output)
        yield from (f"no event {shown(each)}" for each in self.told if not any_of(each, seen.events))
        yield from (f"an event {shown(each)}" for each in self.told_not if any_of(each, seen.events))
        if self.told_not and seen.lost:
            yield f"more events were told than are kept: {seen.lost} are not known"
        for name, most in self.at_most.items():
            if seen.counts[name] > most:
                yield f"{name}: {seen.counts[name]}, and not {most} at most"
        for pattern in self.untouched:
            yield from (f"it changed {path}" for path in sorted(seen.changed) if fnmatchcase(path, pattern))


@dataclass(frozen=True)
class Checked:
    """What became of one check; `why` says what was seen instead where it does not hold."""

    check: Check
    outcome: Outcome
    why: str = ""


def judge(check: Check, seen: Seen) -> Checked:
    """Judge one check. Never raises."""
    try:
        wrong = tuple(check.wrong(seen))
    except Exception as error:
        return Checked(check, "broken", f"the check itself failed: {type(error).__name__}: {error}")
    return Checked(check, "fails" if wrong else "holds", "; ".join(wrong))


def any_of(pattern: Pattern, events: Iterable[Mapping[str, Any]]) -> bool:
    """Whether some event has the fields of a pattern."""
    return any(matches(pattern, event) for event in events)


def matches(pattern: Pattern, event: Mapping[str, Any]) -> bool:
    """Whether an event has every field of a pattern."""
    return all(key in event and _is(wanted, event[key]) for key, wanted in pattern.items())


def _is(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, str):
        return isinstance(value, str) and fnmatchcase(value, wanted)
    return bool(wanted == value) and isinstance(value, bool) == isinstance(wanted, bool)


def shown(pattern: Pattern) -> str:
    """A pattern in a line: the kind, then the other fields."""
    rest = " ".join(f"{key}={value}" for key, value in pattern.items() if key != "kind")
    return f"{pattern.get('kind', '*')} {rest}".strip()
