"""What people are told of a dial grant: what it asks for, in a few words, and what carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libos.manifest.model import Dial

if TYPE_CHECKING:
    from libos.net.granting.rule import Rule


def dialed(rule: Rule) -> str:
    """What a dial grant asks for: its way outside, what it may carry, what it does not cover."""
    limits = rule.limits
    said = [
        rule.via_text and f"via {rule.via_text}",
        "private" if rule.private else "",
        "ask" if rule.ask else "",
        "" if limits.connections is None else f"at most {limits.connections} connections",
        "" if limits.sent is None else f"{size_text(limits.sent)} sent",
        "" if limits.received is None else f"{size_text(limits.received)} received",
        "" if limits.rate is None else f"{size_text(limits.rate)} a second",
        f"not {', '.join(map(str, rule.deny))}" if rule.deny else "",
    ]
    return ", ".join(["dial", *(each for each in said if each)])


def why_dialed(dial: Dial) -> str:
    """What carries a dial, and why so."""
    network, host, _ = dial.to.split("!")
    if "/" in host:
        inside = "a listener inside for all addresses of the range"
    elif host.startswith("*"):
        inside = "a name that matches gets an address and a listener there once it is asked for"
    else:
        inside = f"a {'listener' if network == 'tcp' else 'socket'} inside at this address"
    if dial.via is None:
        outside = "the supervisor connects outside and resolves the name there"
    elif not isinstance(dial.via, str):
        outside = "a Python function answers on the stream"
    elif "://" in dial.via:
        outside = "the supervisor connects to the proxy, which resolves the name"
    else:
        outside = "the supervisor connects to the other address"
    return f"{inside}; {outside}"


def size_text(size: int) -> str:
    """Bytes as a manifest writes them: 67108864 is "64M"."""
    for unit, power in (("T", 40), ("G", 30), ("M", 20), ("K", 10)):
        if size and size % (1 << power) == 0:
            return f"{size >> power}{unit}"
    return str(size)
