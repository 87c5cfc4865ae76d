"""A plan whose copy-on-write mounts write into folders that outlive the run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from libos.plan import Overlay

if TYPE_CHECKING:
    from libos.plan import Plan


@asynccontextmanager
async def kept_changes(plan: Plan) -> AsyncIterator[tuple[Plan, list[int]]]:
    """Give the plan with the folders of its name, and descriptors that hold the name for as long as any copy
    of them is open. The block ends when the world is gone. Raises ChangesError."""
    if plan.keep is None:
        yield plan, []
        return
    from libos.kept import keep

    keeping = await trio.to_thread.run_sync(keep, plan.keep, plan.copied)
    try:
        yield _in_folders(plan, keeping.folders), [keeping.lock_fd]
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
