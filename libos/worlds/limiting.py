"""One world's limits while it lives: its cgroup, what its init is told, and what ran into them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import trio

from libos.errors import HostError
from libos.limits.holding import Held, below, hold
from libos.manifest.model import Limits
from libos.worlds.messages import close_all

if TYPE_CHECKING:
    from libos.plan import Plan
    from libos.worlds.keeping import Keeper

LimitReason = Literal["memory", "cpu_time", "file_size", "output"]
# Seconds from the first to the second try to remove a cgroup whose last process is still leaving; each pause
# after it is twice as long, and this many are made: some 3 seconds in all.
_PAUSE = 0.0002
_TRIES = 14
# Seconds between two looks at what the world ran into.
_WATCH = 1.0
# The part of a limit from which on it is told that it is near, and below which it may be told again.
NEAR, _WELL_BELOW = 0.9, 0.8

Observe = Callable[[str, Mapping[str, object]], None]


class Limiting:
    """Use from the trio thread. `open` before init is forked, `close` after its world has gone."""

    def __init__(self, world_id: str, plan: Plan, keeper: Keeper) -> None:
        self._name = f"libos-{os.getpid()}-{world_id}"
        self._decision = plan.limits
        self._asked = plan.asked or Limits()
        self._keeper = keeper
        self._held: Held | None = None
        self._fds: list[int] = []
        self._last: dict[str, int] = {}
        self._over = False
        self._told: dict[str, int] = {}
        self._near: set[str] = set()  # what was told to be near its limit

    def open(self, above: Sequence[Held] = ()) -> list[int]:
        """Make the cgroup, below those of the worlds above; descriptors by which init moves in, closed by
        `close`. HostError where it cannot be made."""
        if self._decision.cgroup is None:
            return []
        cgroup = below(self._decision.cgroup, above)
        try:
            for _, place in cgroup.places:
                self._keeper.sweep(f"{place.parent}/{self._name}")  # before it is there: it cannot be left
            self._held = hold(cgroup, self._name)
            self._fds = self._held.open_entries()
        except OSError as error:
            raise HostError(
                f"a cgroup for the limits cannot be made: {error.strerror}; `libos explain` shows them"
            ) from error
        return self._fds

    @property
    def held(self) -> Held | None:
        """Its cgroup, where it has one."""
        return self._held

    def message(self) -> dict[str, Any]:
        """What init is told: how many of its last descriptors are ways into cgroups, the resource limits, and
        the size of what is in memory."""
        decision = self._decision
        return {"cgroups": len(self._fds), "rlimits": decision.rlimits, "disk": decision.disk}

    def joined(self) -> None:
        """Init has the descriptors."""
        close_all(self._fds)
        self._fds = []

    def counters(self, *, now: bool = False) -> dict[str, int]:
        """What the kernel has counted of the world; the last word after its end."""
        if self._held is not None and not self._over:
            self._last = self._held.counters(now=now)
        return self._last

    def settle(self) -> None:
        """Read the counters for the last time: the world has gone."""
        self.counters()
        self._over = True

    def used(self) -> dict[str, int]:
        """The peaks, for the exit event: `memory` in bytes, `processes` with up to three of libos."""
        counted = self.counters()
        names = ("memory", "processes")
        return {name: counted[f"{name}_peak"] for name in names if f"{name}_peak" in counted}

    def seen(self) -> list[dict[str, object]]:
        """Each limit, for `App.stats`: what was asked, what holds it, and, where a cgroup counts, what is in
        use now, the peak, and how often the world ran into it."""
        hits, counted = self.hits(), self.counters(now=True)
        return [
            {
                "limit": told.key,
                "asked": told.asked,
                "mechanism": told.mechanism,
                "now": counted.get(f"{told.key}_now"),
                "peak": counted.get(f"{told.key}_peak"),
                "hits": hits.get(told.key, 0) if told.mechanism.startswith("cgroup") else None,
            }
            for told in self._decision.told
        ]

    def reason(self, code: int) -> LimitReason | None:
        """Which limit ended a program, from its return code as subprocess has it."""
        limited = dict(self._decision.rlimits)
        if code == -signal.SIGKILL and self.counters().get("memory_kills"):
            return "memory"
        if code == -signal.SIGXCPU and "cpu" in limited:
            return "cpu_time"
        if code == -signal.SIGXFSZ and "fsize" in limited:
            return "file_size"
        return None

    def hits(self) -> Mapping[str, int]:
        """The limits that the world ran into so far, and how often."""
        counted = self.counters()
        told = {"memory": "memory_kills", "processes": "processes_refused", "cpus": "throttled"}
        return {limit: counted[name] for limit, name in told.items() if counted.get(name)}

    def tell(self, observe: Observe) -> None:
        """Tell of what the world ran into since it was told last."""
        for limit, times in self.hits().items():
            if more := times - self._told.get(limit, 0):
                observe("limit.hit", {"limit": limit, "times": more})
                self._told[limit] = times

    def warn(self, observe: Observe) -> None:
        """Tell of what comes near its limit, once until it is well below again."""
        asked = self._asked
        counted = self.counters(now=True)
        for limit, most in (("memory", asked.memory), ("processes", asked.processes)):
            now = counted.get(f"{limit}_now")
            if most is None or now is None:
                continue
            if now >= most * NEAR and limit not in self._near:
                self._near.add(limit)
                observe("limit.threshold", {"limit": limit, "now": now, "most": most})
            elif now < most * _WELL_BELOW:
                self._near.discard(limit)

    async def watch(self, observe: Observe) -> None:
        """Tell of it as long as the world lives. Version 1 has no notice for most of it, so it is looked at;
        however often a program runs into a limit, that is an event a second."""
        while self._held is not None:
            await trio.sleep(_WATCH)
            self.warn(observe)
            self.tell(observe)

    async def close(self) -> None:
        """Remove the cgroup. The world has gone; the kernel may still be taking its last process out."""
        self.joined()
        if self._held is None:
            return
        if not self._over:
            self.settle()
        for turn in range(_TRIES):
            if self._held.remove():
                for folder in self._held.folders:
                    self._keeper.keep(folder)
                break
            await trio.sleep(_PAUSE * 2**turn)
        self._held = None
