"""How narrow a world's system calls were, for a person: the line of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from libos.cli.show import harmless


def syscall_lines(fields: Mapping[str, Any]) -> Iterator[str]:
    """The line, from the fields of the event `app.exit` or of stats: none where refusals are not told."""
    if not (calls := fields.get("syscalls")):
        return
    told = ", ".join(f"{harmless(call)} {times}" for call, times in calls["told"].items())
    yield f"system calls: {calls['passing']} of {calls['known']} pass; others were made: {told or 'none'}"
