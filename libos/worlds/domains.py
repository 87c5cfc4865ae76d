"""Who asks: the domain of the program for which the file server answers, and what that may do.

Rules:
- The thread that asks waits for the answer, so its id is its own and what it runs cannot change meanwhile.
- A program is known by its path as the kernel shows it (proc(5), /proc/PID/exe) and by being the host's file
  that stands there; that is looked at in a thread, since a file of this very server may be what it runs.
- Who cannot be looked at, or is not there any more, is in no domain.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import trio

from libos.fs.requests import asking
from libos.programs import program

if TYPE_CHECKING:
    from libos.fs.layers.layer import Call
    from libos.plan.policy import Policy

Observe = Callable[[str, Mapping[str, object]], None]


class Domains:
    """The domains of one world. `observe` is told of refusals."""

    def __init__(self, policy: Policy, observe: Observe) -> None:
        self._policy = policy
        self._observe = observe

    async def decide(self, kind: str, path: str, call: Call, verbs: frozenset[str]) -> bool:
        """Whether the program that asks may do this with what is of a type and stands at a path."""
        thread = asking()
        domain = await self._domain(thread)
        refused = self._policy.refused(domain, kind, verbs)
        if refused:
            who = program(thread)
            self._observe(
                "domain.refused",
                {
                    "operation": call.operation,
                    "path": path,
                    "type": kind,
                    "domain": domain or None,
                    "wanted": sorted(refused),
                    "pid": who.pid if who else None,
                    "program": who.name if who else None,
                },
            )
        return not refused

    async def _domain(self, thread: int) -> str:
        if not thread:
            return ""
        link = f"/proc/{thread}/exe"
        try:
            known = self._policy.programs.get(os.readlink(link))
        except OSError:
            return ""
        if known is None:
            return self._policy.others
        same = await trio.to_thread.run_sync(_same, link, known.host_path, abandon_on_cancel=True)
        return known.domain if same else self._policy.others


def _same(link: str, path: str) -> bool:
    """Whether what a process runs is the host's file at a path."""
    try:
        return os.path.samefile(link, path)
    except OSError:
        return False
