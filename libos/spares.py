"""A spare world: prepared like the last one that was started, and waiting for a program.

Preparing a world takes several times what is left to do then, and people start the same thing again and
again: tests, an agent's tools, a build's steps. So after a start the next world of that plan is prepared, and
a start that asks for the same view takes it. What it shows must be what a new one would show: it is given up
when a source of its plan has become another file or directory, or when anything was mounted on the host.
"""

from __future__ import annotations

import os
import select
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import trio

from libos.namespace import ChannelSource, P9Source
from libos.plan import Bind, Overlay

if TYPE_CHECKING:
    from libos.launch import Launch
    from libos.plan import Plan

# Seconds after a start until its spare is prepared, so that the two do not compete; at the app's end at last.
_PAUSE = 0.05

Identity = tuple[int, int]


class Spare:
    """A world that is being prepared, or waits."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.sources = identities(plan)
        self.launch: Launch | None = None
        self.settled = trio.Event()  # it waits, or could not be prepared

    async def prepare(self, prepare: Callable[[Plan], Awaitable[Launch]]) -> None:
        """Prepare it; where that fails it stays without a launch, and the next start meets the error."""
        try:
            self.launch = await prepare(self.plan)
        except Exception:
            self.launch = None
        finally:
            self.settled.set()

    async def cancel(self) -> None:
        """Give it up and wait until it is gone."""
        await self.settled.wait()
        if self.launch is not None:
            await self.launch.cancel()


class Spares:
    """At most one spare. `prepare(plan)` gives a prepared launch. Use from the trio thread alone."""

    def __init__(self, prepare: Callable[[Plan], Awaitable[Launch]]) -> None:
        self._prepare = prepare
        self._spare: Spare | None = None
        self._mounts = HostMounts()
        self._turn = 0
        self._due = 0  # spares on their way
        self._idle = trio.Event()

    async def take(self, plan: Plan) -> Launch | None:
        """Give the spare where it shows what `plan` shows now; it is then the caller's. Waits for one that is
        being prepared, since that is quicker than to prepare a second one."""
        spare = self._spare
        if spare is None or not _same_view(spare.plan, plan):
            return None
        await spare.settled.wait()
        if self._spare is not spare:
            return None  # another start took it meanwhile
        try:
            current = not self._mounts.changed() and identities(plan) == spare.sources
        except OSError:
            current = False
        if not current or spare.launch is None or spare.launch.ended.is_set():
            return None
        self._spare = None
        return spare.launch

    async def settled(self) -> Launch | None:
        """Give the spare that waits, or None where there is none; waits for one that is on its way."""
        while self._due:
            await self._idle.wait()
        return self._spare.launch if self._spare else None

    async def replenish(self, plan: Plan, app_ended: Callable[[], Awaitable[None]]) -> None:
        """Prepare a spare for `plan` in a moment, unless another start comes first."""
        self._due += 1
        self._idle = trio.Event() if self._idle.is_set() else self._idle
        try:
            await self._replenish(plan, app_ended)
        finally:
            self._due -= 1
            if not self._due:
                self._idle.set()

    async def _replenish(self, plan: Plan, app_ended: Callable[[], Awaitable[None]]) -> None:
        self._turn += 1
        turn = self._turn
        with trio.move_on_after(_PAUSE):
            await app_ended()
        if turn != self._turn:
            return  # a later start prepares the next one
        former = self._spare
        self._mounts.changed()  # from here on
        try:
            self._spare = Spare(plan)
        except OSError:
            return
        await self._spare.prepare(self._prepare)
        if former is not None:
            await former.cancel()

    async def drop(self) -> None:
        """Give the spare up, if there is one, and wait until it is gone."""
        self._turn += 1
        spare, self._spare = self._spare, None
        if spare is not None:
            await spare.cancel()

    def close(self) -> None:
        """Stop watching the host."""
        self._mounts.close()


def can_be_spare(plan: Plan) -> bool:
    """Whether a plan's world may be prepared ahead: one that publishes ports would hold them, one
    that keeps changes their name, one that is captured its file, one with secrets values of a moment ago, one
    with channels or file servers what is opened or dialed at the start."""
    opened = any(isinstance(each.source, ChannelSource | P9Source) for each in plan.served)
    return not (plan.listens or plan.secrets or opened) and plan.keep is None and plan.network.capture is None


def _same_view(one: Plan, other: Plan) -> bool:
    """Whether two plans differ only in what is run, and for how long."""
    return _view(one) == _view(other)


def _view(plan: Plan) -> tuple[Any, ...]:
    network = plan.dials, plan.listens, plan.network, plan.routed
    walls = plan.syscalls, plan.limits, plan.root
    refused = plan.labelling.refused if plan.labelling is not None else ()
    rules = plan.labelling, refused, plan.policy
    own = plan.hostname, plan.keep, plan.record
    return plan.steps, plan.served, plan.points, *network, *walls, *rules, *own


def identities(plan: Plan) -> list[Identity]:
    """Give which file or directory each host source of a plan is now. Raises OSError where one is gone."""
    steps = (step for step in plan.steps if isinstance(step, Bind | Overlay))
    found = [os.stat(step.source if isinstance(step, Bind) else step.lower) for step in steps]
    return [(each.st_dev, each.st_ino) for each in found]


class HostMounts:
    """Tells whether the host's mount table has changed. proc_pid_mountinfo(5): poll(2) gives POLLPRI then."""

    def __init__(self) -> None:
        self._fd = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLPRI)

    def changed(self) -> bool:
        """Give whether it has changed since the last call."""
        return bool(self._poll.poll(0))

    def close(self) -> None:
        """Stop watching."""
        os.close(self._fd)
