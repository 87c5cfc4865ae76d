"""The first line: which world, since when or how it ended, how much was told, what is held back. Pure."""

from __future__ import annotations

from libos.seen import Seen
from libos.watch.items import short


def heading(seen: Seen, name: str, *, live: bool, trouble: str, paused_at: int | None) -> str:
    """The line; `live`: events may still come; `paused_at` is the number of events when the view was held."""
    parts = [short(name), _state(seen, live=live), f"{seen.events:,} event{'' if seen.events == 1 else 's'}"]
    if seen.lost:
        parts.append(f"{seen.lost:,} lost")
    if seen.world is None and len(seen.worlds) > 1:
        parts.append(
            f"{len(seen.worlds)} worlds together: --world {'|'.join(map(short, list(seen.worlds)[:5]))}"
        )
    if paused_at is not None:
        parts.append(f"PAUSED, {seen.events - paused_at:,} events since (p)")
    if trouble:
        parts.append(short(trouble))
    return "  ".join(filter(None, parts))


def _state(seen: Seen, *, live: bool) -> str:
    if seen.exit is not None:
        how = f"signal {-seen.exit.status}" if seen.exit.status < 0 else f"status {seen.exit.status}"
        because = f" ({short(seen.exit.reason)})" if seen.exit.reason not in ("", "exit", "signal") else ""
        return f"ended, {how}{because}, {seen.exit.seconds:.1f} s"
    return "running" if live else "its end was not told"
