"""What a run was seen to use, from its events and from what is recorded of its files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from libos.events import Event

if TYPE_CHECKING:
    from libos.fs.recording import Used

# Different things kept of each kind; an app chooses how many it asks for.
MOST = 1000


@dataclass
class Observed:
    """Files, dials that led outside, ports at which it listened and where these are published, addresses that
    were refused, system calls beyond the profile, peaks."""

    uses: dict[str, frozenset[str]] = field(default_factory=dict)
    beyond: int = 0
    dials: dict[str, int] = field(default_factory=dict)
    listens: dict[int, str] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def note(self, event: Event) -> None:
        """Keep what an event says."""
        fields = event.fields
        count = fields.get("count", 1)
        count = count if isinstance(count, int) else 1
        if event.kind == "dial.open":
            _add(self.dials, str(fields.get("address")), 1)
        elif event.kind == "listen.ready":
            port = fields.get("port")
            assert isinstance(port, int)
            self.listens[port] = str(fields.get("publish"))
        elif event.kind == "dial.refused":
            host = fields.get("name") or fields.get("address")
            _add(self.refused, f"{fields.get('network', 'tcp')}!{host}!{fields.get('port')}", count)
        elif event.kind == "syscall.refused":
            _add(self.calls, str(fields.get("call")), count)
        elif event.kind == "app.exit":
            used, seconds = fields.get("used"), fields.get("seconds")
            self.peaks = dict(used) if isinstance(used, dict) else {}
            self.seconds = seconds if isinstance(seconds, float) else 0.0

    def take(self, uses: Iterable[Used], beyond: int) -> None:
        """Take over what was recorded of files. What is only absent is nothing to grant."""
        for used in uses:
            seen = frozenset(used.operations()) - {"absent"}
            if seen:
                self.uses[used.path.decode(errors="surrogateescape")] = seen
        self.beyond = beyond


def _add(counts: dict[str, int], name: str, count: int) -> None:
    if name in counts or len(counts) < MOST:
        counts[name] = counts.get(name, 0) + count
