"""A plan whose copy-on-write mounts write into folders that outlive the run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from libos.plan import Overlay

if TYPE_CHECKING:
    from libos.kept import Keeping
    from libos.plan import Plan


class Persisting:
    """A plan whose changes are kept, or not: then `folder` gives None. `fds` hold its name for as long as any
    copy of them is open."""

    def __init__(self, plan: Plan, keeping: Keeping | None) -> None:
        self.plan = plan if keeping is None else _in_folders(plan, keeping.folders)
        self.fds = [] if keeping is None else [keeping.lock_fd]
        self._keeping = keeping

    async def folder(self, at: str, host: str) -> str | None:
        """The folder for the changes of one more copy-on-write mount of the run. Raises ChangesError."""
        if self._keeping is None:
            return None
        return await trio.to_thread.run_sync(self._keeping.add, at, host)


@asynccontextmanager
async def kept_changes(plan: Plan) -> AsyncIterator[Persisting]:
    """Give the plan with the folders of its name. The block ends when the world is gone. Raises
    ChangesError."""
    if plan.keep is None:
        yield Persisting(plan, None)
        return
    from libos.kept import keep

    keeping = await trio.to_thread.run_sync(keep, plan.keep, plan.copied)
    try:
        yield Persisting(plan, keeping)
    finally:
        with trio.CancelScope(shield=True):  # a walk over what changed, on a local disk
            await trio.to_thread.run_sync(keeping.close)


def _in_folders(plan: Plan, folders: Mapping[str, str]) -> Plan:
    return replace(
        plan,
        steps=tuple(
            replace(step, changes=folders[step.at]) if isinstance(step, Overlay) else step
            for step in plan.steps
        ),
        served=tuple(
            replace(each, changes=folders[each.at]) if each.copy_on_write else each for each in plan.served
        ),
    )
