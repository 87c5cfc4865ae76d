"""What a page shows beside the tree, as rows of plain values. Pure.

Rules: each table has a bound, and says how much it leaves out; the rows that a reader needs first come first.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from libos.page.branches import said_of
from libos.page.words import LONGEST, duration, plural, shown, size
from libos.seen import Seen
from libos.seen.amounts import amount
from libos.seen.attempts import Attempt
from libos.seen.connections import ConnectionSeen
from libos.seen.folding import Group
from libos.seen.grants import GrantSeen
from libos.seen.tree import ABSENT, DENIED
from libos.why.remedies import remedy_of

# Rows of a table: more are not read on a page, and the event file has them all.
MOST = 300
# Names of one group that are listed.
_NAMED = 12

_WORDS = {"path": "path", "name": "host name", "dial": "address", "denied": "denied", "limit": "limit",
          "http": "HTTP request", "secret": "secret", "ask": "question", "call": "system call",
          "error": "error"}  # fmt: skip
_ABSENT = ("path", "name")


@dataclass(frozen=True)
class Tile:
    """One figure of the summary; `sort` is its colour."""

    id: str
    label: str
    value: str
    note: str = ""
    sort: str = ""


def tiles(seen: Seen) -> Iterator[Tile]:
    """The summary, which can be made at any moment in little time."""
    yield Tile("outcome", "outcome", *_outcome(seen))
    used = seen.tree.root.sums
    operations = used.total() - used[ABSENT] - used[DENIED]
    known = "" if operations or seen.recorded else "not recorded"
    yield Tile("files", "file operations", f"{operations:,}" if not known else "-", known, "used")
    absent = sum(each.kind in _ABSENT for each in seen.attempts)
    yield Tile("absent", "not there", f"{absent:,}", "different things", "absent")
    yield Tile(
        "refused", "refused or failed", f"{len(seen.attempts) - absent:,}", "different things", "refused"
    )
    unused = len(seen.unused())
    yield Tile("unused", "grants never used", f"{unused:,}", f"of {len(seen.grants):,}", "idle")
    carried = f"{size(seen.connections.sent)} out, {size(seen.connections.received)} in"
    opened = seen.connections.opened
    yield Tile("connections", "connections", f"{opened:,}", carried if opened else "", "used")
    if seen.exit is not None and seen.exit.used.get("memory"):
        yield Tile("memory", "peak memory", amount("memory", seen.exit.used["memory"]))
    yield Tile("events", "events", f"{seen.events:,}", f"{seen.lost:,} lost" if seen.lost else "")


def _outcome(seen: Seen) -> tuple[str, str, str]:
    end = seen.exit
    if end is None:
        return ("running" if seen.about.started else "unknown", "", "")
    if end.reason not in ("exit", ""):
        said = f"signal {-end.status}" if end.status < 0 else f"status {end.status}"
        return shown(end.reason, 40), f"{said}, after {duration(end.seconds)}", "failed"
    return f"status {end.status}", f"after {duration(end.seconds)}", "used" if end.status == 0 else "failed"


@dataclass(frozen=True)
class Wanted:
    """One thing, or things that belong together, that was asked for and not given."""

    word: str
    what: str
    count: int
    why: str
    is_absent: bool
    names: tuple[str, ...] = ()
    remedy: str = ""


def wanted(groups: Sequence[Group], manifest: str = "") -> list[Wanted]:
    """The first MOST groups, each with what would grant it in this manifest, where something would."""
    return [_wanted(group, _remedy(group, manifest)) for group in groups[:MOST]]


def _remedy(group: Group, manifest: str) -> str:
    """What would grant it, as `libos why` says it; "" where nothing would, or the name cannot be shown
    whole."""
    attempt = group.attempts[0]
    if group.kind != "one" or len(attempt.what) > LONGEST:
        return ""
    remedy = remedy_of(attempt, on_host=True)
    if remedy is None:
        return ""
    lines = [f"# in {remedy.within}" if remedy.within else "", *remedy.lines]
    if remedy.words:
        lines.append(f"# or: libos allow {shlex.quote(manifest) if manifest else 'MANIFEST'} {remedy.words}")
    if remedy.warning:
        lines.append(f"# mind: {remedy.warning}")
    return "\n".join(shown(line, 4 * LONGEST) for line in lines if line)


def _wanted(group: Group, remedy: str) -> Wanted:
    first = group.attempts[0]
    if group.kind == "one":
        return Wanted(
            _WORDS.get(first.kind, first.kind),
            shown(first.what),
            group.count,
            shown(first.why),
            first.kind in _ABSENT,
            _details(first),
            remedy,
        )
    names = tuple(shown(each.what) for each in group.attempts[:_NAMED])
    if more := len(group.attempts) - len(names):
        names = (*names, f"and {more:,} more")
    if group.kind == "program":
        found = f"found at {shown(group.found)} at last" if group.found else "in no directory of PATH"
        return Wanted("program", shown(group.what), group.count, found, True, names, remedy)
    why = "libraries look there by themselves; nothing is amiss"
    return Wanted("paths", group.what, group.count, why, True, names)


def _details(attempt: Attempt) -> tuple[str, ...]:
    return tuple(
        f"{key}: {shown(attempt.details[key])}"
        for key in ("error", "limit", "operation", "program")
        if key in attempt.details and attempt.kind != "path"
    )


@dataclass(frozen=True)
class Granted:
    """One grant; `state` is "used", "idle" (known to be unused) or ""."""

    id: str
    at: str
    what: str
    mechanism: str
    origin: str
    state: str
    uses: str
    refused: int


def granted(seen: Seen, grant: GrantSeen) -> Granted:
    """Give the row of a grant."""
    uses = ", ".join(f"{operation} {count:,}" for operation, count in grant.uses.most_common())
    known = seen.is_known(grant)
    if grant.ended:
        uses = f"{uses or 'unused'}; {'revoked' if grant.ended == 'revoke' else 'given up'}"
    state = "used" if grant.used else "idle" if known else ""
    return Granted(
        f"g{grant.number}",
        shown(grant.at),
        said_of(grant),
        shown(grant.mechanism),
        shown(grant.origin),
        state,
        uses or ("never used" if known else "not recorded"),
        grant.refused,
    )


@dataclass(frozen=True)
class Connected:
    """One connection; `begin` and `width` are its place in the run, in percent."""

    id: str
    way: str
    address: str
    peer: str
    program: str
    carried: str
    lasted: str
    error: str
    requests: tuple[str, ...]
    begin: float
    width: float


def connected(seen: Seen, connection: ConnectionSeen) -> Connected:
    """Give the row of a connection."""
    first, last = seen.first or 0.0, max(seen.last or 0.0, (seen.first or 0.0) + 1e-6)
    end = last if connection.closed is None else connection.closed
    begin = min(100.0, max(0.0, (connection.opened - first) / (last - first) * 100))
    width = min(100.0 - begin, max(1.0, (end - connection.opened) / (last - first) * 100))
    closed = connection.closed is not None
    names = tuple(shown(each) for each in connection.requests[:_NAMED])
    if more := len(connection.requests) - len(names):
        names = (*names, f"and {more:,} more")
    return Connected(
        f"c{connection.number}",
        "out" if connection.way == "dial" else "in",
        shown(connection.address),
        shown(connection.peer),
        shown(connection.program),
        f"{size(connection.sent)} out, {size(connection.received)} in" if closed else "",
        duration(end - connection.opened) if closed else "open",
        shown(connection.error),
        names,
        round(begin, 2),
        round(max(width, 0.0), 2),
    )


@dataclass(frozen=True)
class Held:
    """One limit, with its peak where something counted it."""

    id: str
    key: str
    asked: str
    mechanism: str
    origin: str
    peak: str
    hits: int


def held(seen: Seen) -> Iterator[Held]:
    """The limits of the manifest, and the peaks of what has none."""
    peaks = dict(seen.exit.used) if seen.exit else {}
    for number, limit in enumerate(seen.limits.values()):
        peak = _peak(limit.key, peaks.pop(limit.key, None))
        asked, mechanism, origin = shown(limit.asked), shown(limit.mechanism), shown(limit.origin)
        yield Held(f"l{number}", shown(limit.key), asked, mechanism, origin, peak, limit.hits)
    for key, value in peaks.items():
        yield Held(f"p-{shown(key, 40)}", shown(key), "no limit", "", "", _peak(key, value), 0)


def _peak(key: str, value: float | None) -> str:
    return "" if value is None else amount(key, value)


def left_out(seen: Seen, *, groups: int, names: int, connections: int) -> Iterator[str]:
    """Say what a page does not show, a line each; `names` is how many of the tree."""
    if names:
        yield f"{plural(names, 'name')} of the tree, counted at the nearest name above"
    if groups > MOST:
        yield f"{plural(groups - MOST, 'thing')} of those asked for in vain"
    if connections > MOST:
        yield f"{plural(connections - MOST, 'connection')}: the latest are listed, and the sums are of all"
    if len(seen.grants) > MOST:
        yield plural(len(seen.grants) - MOST, "grant")
