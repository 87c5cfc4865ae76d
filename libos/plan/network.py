"""What a manifest asks of the network, as addresses, and what in it cannot work together. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from libos.manifest.model import Manifest
from libos.manifest.problems import Problem, at_origin

if TYPE_CHECKING:
    from libos.manifest.model import Dial
    from libos.net.granting.rule import Rule


def rules(manifest: Manifest) -> tuple[Rule, ...]:
    """The rule of each dial grant, in order."""
    return tuple(rule(dial) for dial in manifest.dials)


def rule(dial: Dial) -> Rule:
    """What one dial grant says, for the gate."""
    from libos.net.granting.rule import Limits, Rule
    from libos.net.granting.target import parse_target

    return Rule(
        to=parse_target(dial.to),
        deny=tuple(parse_target(each) for each in dial.deny),
        private=dial.private,
        limits=Limits(dial.connections, dial.sent, dial.received, dial.rate),
        ask=dial.ask,
        ask_seconds=dial.ask_seconds,
        origin=dial.origin,
    )


def network_problems(manifest: Manifest) -> Iterator[Problem]:
    """A problem for each published port whose connections would come back to it by a dial grant."""
    if not manifest.listens or not manifest.dials:
        return
    from libos.net.inbound.publication import Publication, conflict

    for listen in manifest.listens:
        publication = Publication(listen.port, listen.host, listen.outside)
        for address in (each for rule in rules(manifest) for each in rule.to.addresses()):
            message = conflict(publication, address)
            if message is not None:
                yield at_origin(listen.origin or listen.name, message)
