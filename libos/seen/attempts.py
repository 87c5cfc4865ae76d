"""What an app tried and did not get: each thing once, with counts. Pure.

Rules: what is not in the world ("path", "name", "dial"), what a grant refuses ("denied", "limit", "http",
"secret", "ask"), system calls ("call"), and what was granted and failed ("error"). Beyond MOST different
things, further ones are counted as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from libos.events import Event
from libos.seen.fields import Fields, text, times, whole

# Different things that are remembered, each of some 500 bytes; of the longest names some 10 KB.
MOST = 10_000
# Characters of what else is said of one.
LONGEST = 500


@dataclass(eq=False)
class Attempt:
    """One thing that was tried: a path, a host's name, a dial(2) address, a call … `grant` is the id of the
    grant that refused it, `details` what else the last event said of it."""

    kind: str
    what: str
    count: int = 0
    first: float = 0.0
    last: float = 0.0
    grant: str = ""
    details: dict[str, str] = field(default_factory=dict)

    @property
    def why(self) -> str:
        """The reason, in a few words."""
        if self.kind == "path" and (mount := self.details.get("mount")):
            return f"what is mounted at {mount} does not hold it"
        said = self.details.get("reason", "")
        return f"{_WHY[self.kind]}: {said}" if said else _WHY[self.kind]


# What else is kept of an attempt: of its last event.
_DETAILS = (
    *("reason", "limit", "error", "method", "operation", "program", "mount"),
    *("label", "rule", "domain", "type"),
)
_WHY = {
    "path": "nothing is mounted there",
    "name": "no dial grant names this host",
    "dial": "no dial grant covers this address",
    "denied": "the grant that covers it refuses it",
    "limit": "the grant's limit is reached",
    "http": "the grant's HTTP rules refuse it",
    "secret": "the secret may not go there",
    "ask": "the answer was no",
    "label": "its label and the app's level forbid it",
    "domain": "no rule lets this program's domain do it",
    "exec": "it did not pass the check of its mount",
    "call": "the filter of system calls refuses it",
    "error": "it is granted, and did not work",
}


class Attempts:
    """All that was tried in vain in one world."""

    def __init__(self, most: int = MOST) -> None:
        self._all: dict[tuple[str, str], Attempt] = {}
        self._most = most
        self.beyond = 0

    def __iter__(self) -> Iterator[Attempt]:
        return iter(self._all.values())

    def __len__(self) -> int:
        return len(self._all)

    def get(self, kind: str, what: str) -> Attempt | None:
        """What was tried of exactly this."""
        return self._all.get((kind, what))

    def add(self, event: Event) -> Attempt | None:
        """Take an event where it is of something refused; gives what it is of."""
        of = attempt_of(event)
        if of is None:
            return None
        count = times(event.fields)
        attempt = self._all.get(of)
        if attempt is None:
            if len(self._all) >= self._most:
                self.beyond += count
                return None
            attempt = self._all[of] = Attempt(*of, first=event.time)
        attempt.count += count
        attempt.last = event.time
        attempt.grant = text(event.fields, "grant") or attempt.grant
        for key in _DETAILS:
            if said := text(event.fields, key):
                attempt.details[key] = said if len(said) <= LONGEST else f"{said[:LONGEST]}…"
        return attempt


def attempt_of(event: Event) -> tuple[str, str] | None:
    """The kind and the name of what an event refuses; None where it refuses nothing."""
    known = _KINDS.get(event.kind)
    if known is None:
        return None
    kind, name = known
    what = name(event.fields)
    return (kind, what) if what else None


def _address(fields: Fields) -> str:
    host = text(fields, "name") or text(fields, "address")
    port = whole(fields, "port")
    return f"{text(fields, 'network') or 'tcp'}!{host}!{port}" if port is not None else host


def _request(fields: Fields) -> str:
    return f"{text(fields, 'method') or '?'} {text(fields, 'host') or '?'}{text(fields, 'path')}"


def _secret(fields: Fields) -> str:
    return f"{text(fields, 'secret')} to {text(fields, 'address')}"


def _call(fields: Fields) -> str:
    called = fields.get("call")
    return called if isinstance(called, str) else f"{called}" if isinstance(called, int) else ""


def _answered_no(fields: Fields) -> str:
    return text(fields, "path") if fields.get("answer") == "no" else ""


def _audited(fields: Fields) -> str:
    refused = text(fields, "error") in ("EACCES", "EPERM", "EROFS")
    return f"{text(fields, 'path')}" if refused else ""


def _labelled(fields: Fields) -> str:
    refused = fields.get("decision") == "refused"
    return (text(fields, "path") or text(fields, "address")) if refused else ""


def _fault(fields: Fields) -> str:
    if "lost" in fields:
        return ""
    keys = ("operation", "address", "name", "path")
    doing = " ".join(said for key in keys if (said := text(fields, key)))
    reason = text(fields, "reason") or text(fields, "error") or "?"
    return f"{doing}: {reason}" if doing else reason


_KINDS: dict[str, tuple[str, Callable[[Fields], str]]] = {
    "path.absent": ("path", lambda fields: text(fields, "path")),
    "name.absent": ("name", lambda fields: text(fields, "name")),
    "dial.refused": ("dial", _address),
    "dial.denied": ("denied", lambda fields: text(fields, "address")),
    "dial.limited": ("limit", lambda fields: text(fields, "address")),
    "http.refused": ("http", _request),
    "secret.refused": ("secret", _secret),
    "syscall.refused": ("call", _call),
    "answer": ("ask", _answered_no),
    "audit": ("denied", _audited),
    "label": ("label", _labelled),
    "exec.refused": ("exec", lambda fields: text(fields, "path")),
    "domain.refused": ("domain", lambda fields: text(fields, "path")),
    "error": ("error", _fault),
}
