"""The report: what the app asked for and did not get, each once with a count. Pure.

It answers the question that every sandbox is asked: why was it denied? A path that is absent from the
namespace, a name that no grant covers and an address that nothing listens on are counted; what a mounted
tree itself does not hold is the tree's own affair and is not. What libraries look for by themselves
(habits.py) comes last, in one line.
"""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Callable, Container, Iterator
from typing import TYPE_CHECKING

from libos.cli.channel_lines import channel_lines
from libos.cli.show import harmless
from libos.cli.syscall_lines import syscall_lines
from libos.events import Event

if TYPE_CHECKING:
    from libos.why.remedies import Remedy
from libos.seen.habits import ALONE, SHARED

# Different things counted; an app that asks for more is counted as a whole from there on. With LONGEST
# this is some 5 MB at the most.
MOST = 10_000
# Characters kept of a thing's name: more than a file name has (255 bytes), less than a path may (4096).
LONGEST = 400
# Things for which the lines that would grant them are printed.
OFFERED = 20
# Lines printed a kind of thing; the events have the rest.
SHOWN = 40

# The kinds of event that are refusals: the word, the remedy, and the field that names the thing.
_REFUSALS = {
    "path.absent": ("path", "-v SRC:AT", "path"),
    "name.absent": ("name", "--dial tcp!NAME!PORT", "name"),
    "dial.refused": ("dial", "--dial ADDRESS", "address"),
    "dial.denied": ("denied", "", "address"),
    "dial.limited": ("limit", "", "address"),
    "syscall.refused": ("call", "[syscalls] allow", "call"),
    "error": ("error", "", "reason"),
}


class Report:
    """Counts refusals and prints them."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._refused: dict[tuple[str, str], Event] = {}  # the first of each, for what would grant it
        self._beyond = 0
        self._end: list[str] = []

    def note(self, event: Event) -> None:
        """Count the event if it is a refusal; of the end, keep what passed the channels and the filter."""
        if event.kind == "app.exit":
            self._end += [*channel_lines(event.fields), *syscall_lines(event.fields)]
        if event.kind not in _REFUSALS:
            return
        key = (event.kind, _shortened(_subject(event)))
        if key not in self._refused and len(self._refused) < OFFERED * 10:
            self._refused[key] = event
        times = event.fields.get("count", 1)
        times = times if isinstance(times, int) else 1
        if key in self._counts or len(self._counts) < MOST:
            self._counts[key] += times
        else:
            self._beyond += times

    def lines(self) -> list[str]:
        """Give the report's lines; the summary comes last."""
        if not self._counts:
            return [*self._end, "the app got everything that it asked for"]
        found = [line for kind in _REFUSALS for line in self._section(kind)]
        found += [
            f"{count:>7}x path  {path}  (libraries look there by themselves too)"
            for (kind, path), count in self._counts.most_common()
            if kind == "path.absent" and path in SHARED
        ]
        if self._beyond:
            found.append(f"{self._beyond:>7}  more, of things not counted singly")
        return [*self._end, *found, *self._habits(), self._summary()]

    def remedies(
        self,
        manifest: str,
        exists: Callable[[str], bool] = os.path.lexists,
        passing: Callable[[], Container[str]] = frozenset,
    ) -> tuple[list[str], list[str]]:
        """Give what to say of what would grant the refused things, and the lines of a manifest that do.

        What holds secrets is named and not offered; what the host has not either (by `exists`) cannot be, and
        of calls not those that the filter lets pass (`passing`) but for their arguments."""
        from libos.seen.attempts import Attempt, attempt_of
        from libos.why.remedies import remedy_of

        wanted: list[Remedy] = []
        said: list[str] = []
        for event in self._refused.values():
            of = attempt_of(event)
            if of is None or (of[0] == "path" and (_by_habit("path.absent", of[1]) or not exists(of[1]))):
                continue
            if of[0] == "call" and of[1] in passing():
                continue  # a check on its arguments refused it, and no manifest lifts one
            remedy = remedy_of(Attempt(*of, details=_details(event)), on_host=True)
            if remedy is not None and remedy.warning:
                said.append(f"{remedy.warning}; libos allow grants it with --yes")
            elif remedy is not None and remedy not in wanted:
                wanted.append(remedy)
        said, wanted = said[:OFFERED], wanted[:OFFERED]
        if wanted:
            words = " ".join(remedy.words for remedy in wanted if remedy.words)
            named = shlex.quote(manifest) if manifest.endswith(".toml") else "MANIFEST"
            said.append(f"these lines of a manifest grant it; libos allow {named} {words} writes them:")
        return said, [line for remedy in _merged(wanted) for line in ("", *remedy.lines)]

    def _section(self, kind: str) -> Iterator[str]:
        word = _REFUSALS[kind][0]
        counted = [
            (subject, count)
            for (of, subject), count in self._counts.most_common()
            if of == kind and not _by_habit(of, subject)
        ]
        for subject, count in counted[:SHOWN]:
            yield f"{count:>7}x {word:<5} {harmless(subject)}"
        if len(counted) > SHOWN:
            yield f"{'':>8} {word:<5} … and {len(counted) - SHOWN} more; --events FILE has them all"

    def _habits(self) -> Iterator[str]:
        if files := sum(_asked_by_libraries_alone(*key) for key in self._counts):
            named = "a file that libraries look for by themselves" if files == 1 else ""
            named = named or f"{files} files that libraries look for by themselves"
            yield f"         and {named}; --events shows {'it' if files == 1 else 'them'}"

    def _summary(self) -> str:
        asked = [key for key in self._counts if not _asked_by_libraries_alone(*key)]
        things = len(asked)
        if not things:
            return "the app got everything else that it asked for"
        remedies = [_REFUSALS[kind] for kind in _REFUSALS if any(of == kind for of, _ in asked)]
        granted = ", ".join(f"a {word} with {remedy}" for word, remedy, _ in remedies if remedy)
        told = f"{things} {'thing was' if things == 1 else 'things were'} asked for and not given"
        return f"{told}; give {granted}" if granted else told


def _details(event: Event) -> dict[str, str]:
    mount = event.fields.get("mount")
    return {"mount": mount} if isinstance(mount, str) else {}


def _merged(remedies: list[Remedy]) -> list[Remedy]:
    """The same with one [syscalls]: a table stands once in a manifest."""
    from libos.why.remedies import calls

    others = [each for each in remedies if each.lines[0] != "[syscalls]"]
    named = [each.words for each in remedies if each.lines[0] == "[syscalls]"]
    return [*others, calls(named)] if named else others


def _asked_by_libraries_alone(kind: str, subject: str) -> bool:
    return kind == "path.absent" and subject in ALONE


def _by_habit(kind: str, subject: str) -> bool:
    return kind == "path.absent" and (subject in ALONE or subject in SHARED)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _subject(event: Event) -> str:
    """Name the thing that was asked for as a manifest would: a path, a name, a dial(2) address."""
    fields = event.fields
    if event.kind == "dial.refused" and "port" in fields:
        host = fields.get("name") or fields.get("address")
        return f"{fields.get('network', 'tcp')}!{host}!{fields['port']}"
    if event.kind == "error":
        doing = " ".join(
            str(fields[key]) for key in ("operation", "address", "name", "path") if key in fields
        )
        reason = str(fields.get("reason") or fields.get("error") or "?")
        return f"{doing}: {reason}" if doing else reason
    return str(fields.get(_REFUSALS[event.kind][2], "?"))
