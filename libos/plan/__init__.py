"""Plans: a manifest lowered to mechanisms, before anything starts.

    lower(manifest)          -> Plan, with a reason for every choice
    find_command(plan)       -> where the command stands in the world, or what would bring it

Pure but for the questions to a `HostView`.
"""

from __future__ import annotations

from libos.plan.command import explain_failure, find_command
from libos.plan.hostview import Host, HostView, Kind
from libos.plan.lowering import lower
from libos.plan.memory import memory_mode
from libos.plan.model import (
    Bind,
    BindServed,
    BindService,
    Line,
    Overlay,
    Part,
    Plan,
    Rebind,
    Served,
    Step,
    Tmpfs,
)

__all__ = [
    "Bind",
    "BindServed",
    "BindService",
    "Host",
    "HostView",
    "Kind",
    "Line",
    "Overlay",
    "Part",
    "Plan",
    "Rebind",
    "Served",
    "Step",
    "Tmpfs",
    "explain_failure",
    "find_command",
    "lower",
    "memory_mode",
]
