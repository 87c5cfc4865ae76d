"""What was tried in a world, as items: what waits for an answer, what was refused or absent, connections.
Pure."""

from __future__ import annotations

from collections.abc import Iterator

from libos.seen.amounts import size
from libos.seen.attempts import Attempt
from libos.seen.connections import ConnectionSeen
from libos.seen.folding import Group
from libos.seen.questions import Question
from libos.seen.seen import Seen
from libos.watch.items import Item, Mark, short, times

# The column of kinds is as wide as the longest of them.
_KIND_WIDTH = 6


def tried(seen: Seen) -> Iterator[Item]:
    """The items of one drawing, what wants an answer first."""
    yield from map(_question, seen.questions)
    within: list[Group] = []
    for group in seen.groups():
        if group.kind == "libraries" and within:
            yield _within(within)
            within = []
        if _is_within(seen, group):
            within.append(group)
        else:
            yield _group(group)
    if within:
        yield _within(within)
    if seen.attempts.beyond:
        yield Item(("beyond",), "further things, not listed singly", times(seen.attempts.beyond), "faint")
    if seen.connections.opened:
        open_now = seen.connections.open
        tail = f"{open_now} open of {seen.connections.opened}"
        newest = list(seen.connections)[::-1]
        yield Item(("section", "connections"), "connections", tail, "head", None, True, open_now > 0,
                   lambda: map(_connection, newest))  # fmt: skip


def _question(asked: Question) -> Item:
    text = f"{'ask':<{_KIND_WIDTH}} {short(asked.operation)} {short(asked.what)}"
    return Item(("question", str(asked.id)), text, "waits", "asked", asked)


def _group(group: Group) -> Item:
    if group.kind == "one":
        return _attempt(group.attempts[0])
    tail = times(group.count)
    if group.kind == "libraries":
        return Item(("libraries",), f"{group.what} ({len(group.attempts)})", tail, "faint", group, True,
                    below=lambda: map(_attempt, group.attempts))  # fmt: skip
    found = f", found as {short(group.found)}" if group.found else ""
    places = "one directory" if len(group.attempts) == 1 else f"{len(group.attempts)} directories"
    text = f"{'path':<{_KIND_WIDTH}} {short(group.what)} in {places} of PATH{found}"
    mark: Mark = "faint" if group.found else "refused"
    key = ("program", group.what)
    return Item(key, text, tail, mark, group, True, below=lambda: map(_attempt, group.attempts))


def _is_within(seen: Seen, group: Group) -> bool:
    """Whether it is a path that a mount covers and has not, which is every program's daily life."""
    return (
        group.kind == "one"
        and group.attempts[0].kind == "path"
        and seen.grants.covering(group.what) is not None
    )


def _within(groups: list[Group]) -> Item:
    text = f"not there in what is mounted ({len(groups)})"
    count = times(sum(group.count for group in groups))
    return Item(("within",), text, count, "faint", None, True, below=lambda: map(_group, groups))


def _attempt(attempt: Attempt) -> Item:
    text = f"{attempt.kind:<{_KIND_WIDTH}} {short(attempt.what)}"
    key = ("attempt", attempt.kind, attempt.what)
    return Item(key, text, times(attempt.count), "refused", attempt)


def _connection(each: ConnectionSeen) -> Item:
    arrow = "→" if each.way == "dial" else "←"
    program = f"  {short(each.program)}" if each.program else ""
    text = f"{arrow} {short(each.address)}{program}"
    if each.closed is None:
        return Item(("connection", str(each.number)), text, "open", "plain", each)
    passed = f"{size(each.sent)} out, {size(each.received)} in"
    mark: Mark = "refused" if each.error else "faint"
    return Item(("connection", str(each.number)), text, passed, mark, each)
