"""The keys of one [[dial]], made into a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libos.manifest import values
from libos.manifest.model import Dial


def dial(raw: Mapping[str, Any], origin: str) -> Dial:
    """One dial grant from its checked raw values."""
    ask = raw.get("ask", False)
    timeout = ask.get("timeout") if isinstance(ask, Mapping) else None
    return Dial(
        to=values.dial_target(raw["to"]),
        deny=tuple(values.dial_target(each) for each in raw.get("deny", ())),
        via=raw.get("via"),
        private=raw.get("private", False),
        connections=raw.get("connections"),
        sent=values.size(raw["sent"]) if "sent" in raw else None,
        received=values.size(raw["received"]) if "received" in raw else None,
        rate=values.rate(raw["rate"]) if "rate" in raw else None,
        ask=bool(ask),
        ask_seconds=None if timeout is None else values.duration(timeout),
        origin=origin,
    )
