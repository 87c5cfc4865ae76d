"""Who asks: the domain of the program for which the file server answers, and what that may do.

Rules:
- The thread that asks waits for the answer, so its id is its own and what it runs cannot change meanwhile.
- A program is known by its path as the kernel shows it (proc(5), /proc/PID/exe) and by being the host's file
  that stands there; that is looked at in a thread, since a file of this very server may be what it runs.
- Who cannot be looked at, or is not there any more, is in no domain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import trio

from libos.fs.requests import asking
from libos.programs import program

if TYPE_CHECKING:
    from libos.fs.layers.layer import Call
    from libos.plan.policy import Policy
    from libos.worlds.outside import Outside

Observe = Callable[[str, Mapping[str, object]], None]


class Domains:
    """The domains of one world. `observe` is told of refusals."""

    def __init__(self, policy: Policy, observe: Observe, outside: Outside) -> None:
        self._policy = policy
        self._outside = outside
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
        try:
            known = self._policy.programs.get(self._outside.executed(thread))
        except OSError:
            return ""
        if known is None:
            return self._policy.others
        looking = partial(self._outside.executes, thread, known.host_path)
        same = await trio.to_thread.run_sync(looking, abandon_on_cancel=True)
        return known.domain if same else self._policy.others
