"""Several worlds, linked and supervised: what `libos up` runs.

    load_stack(path)            a file of [[world]] tables, checked as a whole
    run_stack(supervisor, s)    starts it and keeps it up, as a tree of trio tasks

A world reaches another one by its name alone, where it dials that name and the other exposes the port.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libos.stack.model import Member, Ready, Restart, Stack, Stop, Strategy
from libos.stack.reading import load_stack

if TYPE_CHECKING:
    from libos.stack.running import Running, run_stack

__all__ = [
    "Member",
    "Ready",
    "Restart",
    "Running",
    "Stack",
    "Stop",
    "Strategy",
    "load_stack",
    "run_stack",
]


def __getattr__(name: str) -> object:
    if name not in ("Running", "run_stack"):
        raise AttributeError(f"module 'libos.stack' has no attribute '{name}'")
    from libos.stack import running  # trio and the supervisor: not for who only checks a file

    value: object = getattr(running, name)
    return value
