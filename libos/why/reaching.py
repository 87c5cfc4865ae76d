"""Why an address or a host's name can be reached, or not. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from libos.seen import Seen
from libos.seen.grants import GrantSeen
from libos.why import remedies
from libos.why.questions import Question
from libos.why.remedies import Remedy
from libos.why.verdict import Verdict, listed, often, origin

if TYPE_CHECKING:
    from libos.net.granting.target import Target


def address(seen: Seen, asked: Question) -> Verdict:
    """Why an address may be dialed, or not: the first grant that covers it decides."""
    from libos.net.granting.target import parse_target

    wanted = parse_target(asked.what)
    addresses = list(wanted.addresses())
    attempt = seen.attempt("dial", asked.what) or seen.attempt("denied", asked.what)
    tried = f" The app tried it {often(attempt)}." if attempt else ""
    for grant, target, deny in _dials(seen):
        if target != wanted and not (addresses and all(map(target.covers, addresses))):
            continue
        denied = [str(each) for each in deny if any(map(each.covers, addresses))]
        if denied:
            return _denied(grant, asked.what, denied, tried)
        text = (
            f"{asked.what} is granted by the dial to {grant.at} ({grant.what}); {origin(grant)} asks for it."
        )
        return _given(grant, wanted.host, f"{text}{tried}")
    text = (
        f"{asked.what} is refused at once (ECONNREFUSED): no [[dial]] covers it, and every address is "
        f"refused that "
        f"is not granted.{tried}"
    )
    return Verdict(False, text, "", remedies.dial(asked.what))


def _given(grant: GrantSeen, name: str, text: str) -> Verdict:
    """A grant covers it; where its name led to private addresses, the grant does not let it lead there."""
    if name not in grant.private:
        return Verdict(True, text, grant.origin)
    addresses, only = grant.private[name]
    what = f"private {'address' if len(addresses) == 1 else 'addresses'} {', '.join(addresses)}"
    outside = (
        f"Outside it leads to the {what} alone, so a connection is reset"
        if only
        else f"Outside it leads to the {what} too, which is left out"
    )
    lines = ("private = true",)
    remedy = Remedy(
        lines, f"--dial {shlex.quote(f'{grant.at},private')}", within=f"the [[dial]] to {grant.at}"
    )
    rule = "a name leads to public addresses, unless its grant says private = true"
    return Verdict(not only, f"{text} {outside}: {rule}.", grant.origin, remedy)


def _denied(grant: GrantSeen, what: str, denied: list[str], tried: str) -> Verdict:
    text = (
        f"{what} is refused: the dial to {grant.at} denies {denied[0]}; {origin(grant)} asks for that.{tried}"
    )
    lines = (f"deny = {listed(each for each in grant.deny if each not in denied)}",)
    return Verdict(False, text, grant.origin, Remedy(lines, within=f"the [[dial]] to {grant.at}"))


def host(seen: Seen, asked: Question) -> Verdict:
    """Why a host's name has an address inside, or none."""
    attempt = seen.attempt("name", asked.what)
    tried = f" The app looked it up {often(attempt)}." if attempt else ""
    for grant, target, _ in _dials(seen):
        if target.covers_host(asked.what):
            by = f"the dial to {grant.at} ({grant.what})"
            text = f"{asked.what} is named by {by}; {origin(grant)} asks for it."
            return _given(grant, asked.what, f"{text}{tried}")
    text = (
        f"{asked.what} has no address in this world: no [[dial]] names it, and a look-up is NXDOMAIN.{tried}"
    )
    return Verdict(False, text, "", remedies.dial(f"tcp!{asked.what}!443"))


def _dials(seen: Seen) -> Iterator[tuple[GrantSeen, Target, list[Target]]]:
    """The dial grants in order; one that cannot be read, of a file that is wrong, is left out."""
    from libos.net.granting.target import parse_target

    for grant in seen.grants:
        if grant.kind == "dial" and not grant.ended:
            try:
                yield grant, parse_target(grant.at), [parse_target(each) for each in grant.deny]
            except ValueError:
                continue
