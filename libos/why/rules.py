"""Rules from refusals: what would have allowed what domains were refused, as audit2allow(1) has it. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from libos.events import Event

# The order in which what a rule allows is written.
_ORDER = ("read", "write", "create", "remove", "execute")


def rules_of(events: Iterable[Event]) -> tuple[list[tuple[str, str, list[str]]], int]:
    """Give the rules, each a domain, a type and what it allows, in the order of the first refusal of each;
    and how many refusals were of programs in no domain, which no rule can name."""
    wanted: dict[tuple[str, str], set[str]] = {}
    nameless = 0
    for event in events:
        if event.kind != "domain.refused":
            continue
        domain, kind, verbs = (event.fields.get(key) for key in ("domain", "type", "wanted"))
        if not isinstance(domain, str):
            nameless += 1
        elif isinstance(kind, str) and isinstance(verbs, list):
            wanted.setdefault((domain, kind), set()).update(set(verbs) & set(_ORDER))
    rules = [(*key, [each for each in _ORDER if each in verbs]) for key, verbs in wanted.items() if verbs]
    return rules, nameless
