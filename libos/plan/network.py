"""What a manifest asks of the network, as addresses, and what in it cannot work together. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from libos.manifest.model import Manifest
from libos.manifest.problems import Problem, at_origin
from libos.plan.web import http_of, secret_targets, web_problems

if TYPE_CHECKING:
    from libos.manifest.model import Dial, Network
    from libos.net.granting.rule import Connect, Rule
    from libos.net.routed.capture import CaptureTo
    from libos.net.routed.shape import Shape


def rules(manifest: Manifest) -> tuple[Rule, ...]:
    """The rule of each dial grant, in order."""
    secret = secret_targets(manifest)
    return tuple(rule(dial, dial.to in secret) for dial in manifest.dials)


def rule(dial: Dial, secret: bool = False) -> Rule:
    """What one dial grant says, for the gate; with `secret` it is where one goes."""
    from libos.net.granting.rule import Limits, Rule
    from libos.net.granting.target import parse_target

    via = _via(dial)
    return Rule(
        to=parse_target(dial.to),
        deny=tuple(parse_target(each) for each in dial.deny),
        private=dial.private,
        via=via,
        via_text="" if via is None else str(via),
        limits=Limits(dial.connections, dial.sent, dial.received, dial.rate),
        ask=dial.ask,
        ask_seconds=dial.ask_seconds,
        http=http_of(dial, secret),
        origin=dial.origin,
    )


def why_routed(manifest: Manifest) -> list[str]:
    """Why a world must be routed: its gate in a network namespace of its own. Nothing for a flat one."""
    network = manifest.network
    found = []
    if network.routed:
        found.append("the manifest says so")
    ranges = [dial.to for dial in manifest.dials if "/" in dial.to]
    if ranges:
        found.append(f"{', '.join(ranges)}: a range of addresses")
    shaped = [key for key in ("rate", "delay", "jitter", "loss") if getattr(network, key) is not None]
    if shaped:
        found.append(f"{', '.join(shaped)}: a link that is shaped")
    if network.capture is not None:
        found.append(f"what it carries is captured to {network.capture}")
    found += (
        f"port {listen.port} is published and dialed: in one namespace the app could not listen there on "
        "all addresses"
        for listen in manifest.listens
        if any(
            (address.network, address.port) == (listen.network, listen.port)
            for rule in rules(manifest)
            for address in rule.to.addresses()
        )
    )
    return found


def _via(dial: Dial) -> Connect | None:
    if dial.via is None:
        return None
    if isinstance(dial.via, str):
        from libos.net.outbound.connecting import ByWay
        from libos.net.outbound.via import parse_via

        return ByWay(parse_via(dial.via))
    from libos.net.outbound.function import ByFunction

    return ByFunction(dial.via)


def link_shape(network: Network) -> Shape | None:
    """How the link of a world is to behave; None where nothing is said of it."""
    if network.rate is None and not (network.delay or network.jitter or network.loss):
        return None
    from libos.net.routed.shape import Shape

    return Shape(network.rate, network.delay or 0.0, network.jitter or 0.0, network.loss or 0.0)


def capture_to(network: Network) -> CaptureTo | None:
    """Where what the link carries is written; None where it is not."""
    if network.capture is None:
        return None
    from libos.net.routed.capture import LIMIT, CaptureTo

    return CaptureTo(network.capture, network.capture_limit or LIMIT)


def network_problems(manifest: Manifest) -> Iterator[Problem]:
    """A problem for each published port whose connections would come back to it by a dial grant, and for what
    cannot be asked of one link."""
    yield from _link_problems(manifest)
    yield from web_problems(manifest)
    if not manifest.listens or not manifest.dials:
        return
    from libos.net.inbound.publication import Publication, conflict

    for listen in manifest.listens:
        publication = Publication(listen.port, listen.host, listen.outside, listen.network)
        for address in (each for rule in rules(manifest) for each in rule.to.addresses()):
            message = conflict(publication, address)
            if message is not None:
                yield at_origin(listen.origin or listen.name, message)


def _link_problems(manifest: Manifest) -> Iterator[Problem]:
    network = manifest.network
    place = network.origin or manifest.source or "manifest"
    reasons = why_routed(manifest)
    if network.routed is False and reasons:
        message = f"routed = false cannot be: {reasons[0]}; leave it out"
        yield at_origin(place, message)
    if network.jitter is not None and network.jitter > (network.delay or 0.0):
        yield at_origin(place, "jitter is how much the delay varies: it cannot be more than the delay")
    if network.capture_limit is not None and network.capture is None:
        yield at_origin(place, "capture_limit without capture: name the file, or give --capture FILE")
