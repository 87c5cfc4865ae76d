"""What would grant a thing that was refused: the word of `libos why`, as lines. Pure but for the host that is
asked.

Rule: what is decided and what would change it is `libos.why`'s affair; here it is only put into lines.
"""

from __future__ import annotations

from collections.abc import Iterator

from libos.errors import ManifestError
from libos.seen import Seen
from libos.seen.attempts import Attempt
from libos.syscalls.tables import group_of
from libos.watch.items import Line, short
from libos.why.deciding import why
from libos.why.questions import Question
from libos.why.remedies import Remedy

# What `libos why` calls the kinds of things that are tried.
_SUBJECTS = {"path": "path", "name": "host", "dial": "address", "call": "call"}


def advice(seen: Seen, attempt: Attempt) -> list[Line]:
    """Why it was refused, where the rule stands, and the lines that would grant it; empty where `libos why`
    has nothing to say about such a thing."""
    asked = _question(attempt)
    if asked is None:
        return []
    try:
        verdict = why(seen, asked)
    except (ManifestError, ValueError):  # an event file may name anything
        return []
    lines = [Line(short(verdict.text), "plain" if verdict.granted else "refused")]
    if verdict.origin:
        lines.append(Line(f"decided by {short(verdict.origin)}"))
    if verdict.remedy is not None and not verdict.granted:
        lines += _granting(verdict.remedy, seen.about.manifest)
    return lines


def _question(attempt: Attempt) -> Question | None:
    if attempt.kind in ("denied", "ask", "limit"):
        return Question("path" if attempt.what.startswith("/") else "address", attempt.what)
    if attempt.kind == "call" and attempt.what not in group_of():
        return None  # a number without a name
    match _SUBJECTS.get(attempt.kind):
        case "path" | "host" | "address" | "call" as subject:
            return Question(subject, attempt.what)
    return None


def _granting(remedy: Remedy, manifest: str) -> Iterator[Line]:
    where = f"in {short(remedy.within)}" if remedy.within else f"in {short(manifest) or 'a manifest'}"
    yield Line(f"to grant it, {where}:", "head")
    yield from (Line(f"    {short(line)}") for line in remedy.lines)
    if remedy.option:
        yield Line(f"or: libos run {short(remedy.option)} …")
    if remedy.warning:
        yield Line(f"mind: {short(remedy.warning)}", "asked")
