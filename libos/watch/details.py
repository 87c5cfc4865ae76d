"""All that is known of what is selected, as lines. Pure.

Rule: why a thing is refused, and what would grant it, is `libos why`'s word (advice.py).
"""

from __future__ import annotations

import time as clock
from collections import Counter
from collections.abc import Iterator

from libos.seen.amounts import amount, size
from libos.seen.attempts import Attempt
from libos.seen.connections import ConnectionSeen
from libos.seen.folding import Group
from libos.seen.grants import GrantSeen
from libos.seen.questions import Question
from libos.seen.seen import Limit, Seen
from libos.seen.tree import TreeNode
from libos.watch.advice import advice
from libos.watch.holding import NEVER
from libos.watch.items import Line, Subject, short

# Lines of an HTTP connection's requests that are shown, the latest.
_REQUESTS = 20


def details(seen: Seen, subject: Subject) -> list[Line]:
    """The lines about what is selected; about the world where nothing is."""
    match subject:
        case GrantSeen():
            return list(_grant(seen, subject))
        case TreeNode():
            return list(_node(seen, subject))
        case Attempt():
            return list(_attempt(seen, subject))
        case Group():
            return list(_group(subject))
        case Question():
            return list(_question(subject))
        case ConnectionSeen():
            return list(_connection(seen, subject))
        case Limit():
            return list(_limit(seen, subject))
    return list(_world(seen))


def _world(seen: Seen) -> Iterator[Line]:
    about = seen.about
    yield Line(
        f"{short(about.name) or 'the world'}: {short(' '.join(about.command)) or 'no start was told'}", "head"
    )
    if about.manifest:
        yield Line(f"from {short(about.manifest)}")
    if about.syscalls:
        yield Line(f"system calls: {short(about.syscalls)} (from {short(about.syscalls_origin)})")
    for feature, reason in seen.missing.items():
        yield Line(f"missing on this host: {short(feature)}: {short(reason)}", "refused")
    for mark in seen.marks():
        yield Line(short(mark), "asked")


def _grant(seen: Seen, grant: GrantSeen) -> Iterator[Line]:
    named = {"mount": "mount", "dial": "dial", "listen": "listen"}[grant.kind]
    id_ = f" ({short(grant.id)})" if grant.id else ""
    yield Line(f"{named} {short(grant.at)}{id_}: {short(grant.what) or '-'}", "head")
    mode = f"{short(grant.mode)}, " if grant.mode else ""
    because = f": {short(grant.reason)}" if grant.reason else ""
    yield Line(f"{mode}{short(grant.mechanism) or 'gate'}{because}")
    yield Line(f"asked for in {short(grant.origin) or 'the caller'}")
    if grant.ended:
        yield Line("revoked" if grant.ended == "revoke" else "given up by the app", "refused")
    if grant.narrowed:
        often = "once" if grant.narrowed == 1 else f"{grant.narrowed} times"
        yield Line(f"narrowed {often} while it ran")
    yield from _uses(seen, grant)


def _uses(seen: Seen, grant: GrantSeen) -> Iterator[Line]:
    if grant.used:
        yield Line(f"used: {_counts(grant.uses)}; the last time {_at(grant.last)}")
    elif seen.is_known(grant):
        yield Line(f"{NEVER}: a manifest without it would have done", "unused")
    else:
        yield Line("whether it is used is not told: libos run --record tells it", "faint")
    if grant.refused:
        yield Line(f"refused by it: {grant.refused}", "refused")


def _node(seen: Seen, node: TreeNode) -> Iterator[Line]:
    yield Line(short(node.path), "head")
    if node.own:
        yield Line(f"itself: {_counts(node.own)}")
    if node.children:
        yield Line(f"with all below: {_counts(node.sums)}" if node.sums else "nothing below was used")
    if node.beyond:
        yield Line(f"{node.beyond} of these are of paths below it that are not listed singly", "faint")
    if (grant := seen.grants.covering(node.path)) is not None:
        yield Line(f"given by the mount of {short(grant.at)}, asked for in {short(grant.origin) or '-'}")


def _attempt(seen: Seen, attempt: Attempt) -> Iterator[Line]:
    yield Line(f"{attempt.kind} {short(attempt.what)}", "head")
    when = _at(attempt.last) if attempt.count == 1 else f"{_at(attempt.first)} to {_at(attempt.last)}"
    yield Line(f"tried {attempt.count} times, {when}" if attempt.count > 1 else f"tried once, {when}")
    yield from advice(seen, attempt) or [Line(short(attempt.why), "refused")]


def _group(group: Group) -> Iterator[Line]:
    yield Line(short(group.what), "head")
    if group.kind == "libraries":
        yield Line("nearly every program looks for these; none of them needs to be there")
    elif group.found:
        yield Line(f"looked for along PATH, and found at last: {short(group.found)}")
    else:
        yield Line("a program that was looked for along PATH, and is nowhere in it", "refused")
    yield Line(f"{len(group.attempts)} paths, {group.count} times; unfold it to see them")


def _question(asked: Question) -> Iterator[Line]:
    yield Line(f"question {asked.id}: {short(asked.operation)} {short(asked.what)}", "head")
    yield Line(f"the app waits for an answer since {_at(asked.time)}", "asked")
    yield Line("o: this once; g: always, for this run; d: no")


def _connection(seen: Seen, each: ConnectionSeen) -> Iterator[Line]:
    yield Line(f"connection {each.number}: {short(each.address)}", "head")
    led = "leads to" if each.way == "dial" else "came from"
    yield Line(f"{led} {short(each.peer) or 'nothing that has an address'}")
    if each.program:
        yield Line(f"opened by {short(each.program)} ({each.pid} inside)")
    if each.grant:
        grant = next((one for one in seen.grants if one.id == each.grant), None)
        origin = f", asked for in {short(grant.origin)}" if grant and grant.origin else ""
        yield Line(f"by the grant {short(each.grant)}{origin}")
    if each.closed is None:
        yield Line(f"open since {_at(each.opened)}")
    else:
        yield Line(
            f"{size(each.sent)} sent, {size(each.received)} received, {each.closed - each.opened:.3f} s"
        )
    if each.error:
        yield Line(short(each.error), "refused")
    yield from (Line(short(request)) for request in each.requests[-_REQUESTS:])


def _limit(seen: Seen, limit: Limit) -> Iterator[Line]:
    yield Line(f"limit {short(limit.key)}: {short(limit.asked) or 'not asked for'}", "head")
    if limit.mechanism:
        yield Line(f"held by {short(limit.mechanism)}, asked for in {short(limit.origin) or '-'}")
    if limit.hits:
        yield Line(f"the world ran into it {limit.hits} times", "refused")
    peak = seen.exit.used.get(limit.key) if seen.exit else None
    if peak is not None:
        yield Line(f"peak {amount(limit.key, peak)}")


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{of} {count:,}" for of, count in counts.most_common())


def _at(time: float) -> str:
    try:
        return clock.strftime("%H:%M:%S", clock.localtime(time))
    except (OverflowError, ValueError, OSError):  # an event file may say anything
        return "at no time"
