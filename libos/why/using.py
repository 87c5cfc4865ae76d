"""Why a system call is allowed or refused, and what a limit is. Pure."""

from __future__ import annotations

from libos.errors import ManifestError
from libos.seen import Seen
from libos.seen.amounts import amount
from libos.why import remedies
from libos.why.questions import Question
from libos.why.remedies import Remedy
from libos.why.verdict import Verdict, listed, often


def call(seen: Seen, asked: Question) -> Verdict:
    """Why a call passes the filter, or does not. Raises ManifestError where the profile is not known here."""
    from libos.syscalls.resolving import resolve
    from libos.syscalls.wanted import DEFAULT_PROFILE, Wanted

    about = seen.about
    profile = about.syscalls or DEFAULT_PROFILE
    try:
        rules = resolve(Wanted(profile, about.syscalls_allow, about.syscalls_deny)).rules
    except ValueError as error:
        raise ManifestError(str(error)) from None
    rule = next(each for each in rules if each.call == asked.what)
    attempt = seen.attempt("call", asked.what)
    tried = f" The app made it {often(attempt)} in vain." if attempt else ""
    origin = about.syscalls_origin or "libos"
    by = (
        "that every world has unless its manifest says more"
        if origin == "libos"
        else f"that {origin} asks for"
    )
    if rule.allowed:
        terms = f", if {'; '.join(check.says for check in rule.checks)}" if rule.checks else ""
        what = "allow" if rule.because == "allow" else "the group of calls that it is of"
        return Verdict(
            True, f"{rule.call} is allowed by {what}, in the profile {profile} {by}{terms}.{tried}", origin
        )
    if rule.because == "deny":
        beside = f"beside the profile {profile} {by}"
        text = f"{rule.call} is refused with {rule.error}: deny names it, {beside}.{tried}"
        lines = (f"deny = {listed(each for each in about.syscalls_deny if each != rule.call)}",)
        return Verdict(False, text, origin, Remedy(lines, within="[syscalls]"))
    text = (
        f"{rule.call} is refused with {rule.error}: the profile {profile} {by} does not allow the "
        f"{rule.because} "
        f"({rule.group.what}).{tried}"
    )
    return Verdict(False, text, origin, remedies.call(rule.call))


def limit(seen: Seen, asked: Question) -> Verdict:
    """What a limit is, what holds it, and whether it was met."""
    key = asked.what
    said = seen.limits.get(key)
    peak = seen.exit.used.get(key) if seen.exit else None
    reached = f" Its peak was {amount(key, peak)}." if peak else ""
    ended = " It ended the app." if seen.exit and seen.exit.reason == key else ""
    if said is None or not said.asked:
        text = f"limits.{key} is not said, so nothing of libos holds it.{reached}{ended}"
        return Verdict(True, text, "")
    met = (
        f" The app met it {said.hits} times."
        if said.hits > 1
        else " The app met it once."
        if said.hits
        else ""
    )
    text = (
        f"limits.{key} is {said.asked}, for which {said.origin or 'libos'} asks, held by {said.mechanism}."
        f"{met}{reached}{ended}"
    )
    more = _twice(said.asked)
    remedy = None if more == said.asked else remedies.limit(key, more)
    return Verdict(not said.hits and not ended, text, said.origin, remedy)


def _twice(asked: str) -> str | int:
    """Twice a limit as it is written, where that can be told; the same else."""
    number = asked.rstrip("KMGTs ")
    if not number.replace(".", "", 1).isdecimal():
        return asked
    twice = float(number) * 2
    shown = f"{twice:g}"
    unit = asked[len(number) :].strip()
    return f"{shown}{unit}" if unit else int(twice) if twice.is_integer() else shown
