"""What an app offers on its files: what is mounted in its view, and what it changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

from libos.errors import SupervisorError
from libos.process import Process

if TYPE_CHECKING:
    from libos.fs.node import Node
    from libos.grants import Grant, Grants
    from libos.kept import Changes
    from libos.plan import Plan

# Seconds for a grant's end; only a kernel that is stuck needs longer.
REVOKE_TIMEOUT = 10.0


class AppFiles(Process):
    """The part of an app that is its files."""

    plan: Plan
    # What has passed its counted mounts.
    counts: Callable[[], list[dict[str, int | str]]]
    _granting: Callable[[], Grants]

    @property
    def grants(self) -> Grants:
        """What is mounted in its world, each a handle."""
        return self._granting()

    async def mount(self, at: str, what: Grant | Node | Mapping[str, Any], **keys: Any) -> Grant:
        """Mount something more while the app runs, and give the grant of it.

        `what` says what it is as a [[mount]] of a manifest does ({"host": "/srv/data"}, or `libos.host(…)`),
        or is a node of `libos.fs`, or a grant: of this app or another one, handed on; `keys` are further keys
        of a [[mount]] (mode, hide, revocable …), for a grant read_only, hide and only. With `order`, "before"
        or "after", it joins what stands there as a union, and its grant is of it alone. Raises ManifestError
        where it cannot stand there, SupervisorError, OSError.
        """
        from libos.granting import mount_what

        return await mount_what(self.grants, at, what, keys)

    async def unmount(self, at: str) -> None:
        """Take out all that is mounted at a path and below it: of a union every element; a grant by its id is
        taken back with `Grant.revoke`. Raises SupervisorError where nothing is mounted there, OSError."""
        found = self.grants.at(at)
        if not found:
            raise SupervisorError(f'nothing is mounted at "{at}": libos grants lists what is mounted')
        for grant in found:
            await grant.revoke()

    @asynccontextmanager
    async def granted(
        self, at: str, what: Grant | Node | Mapping[str, Any], **keys: Any
    ) -> AsyncIterator[Grant]:
        """Mount something for the length of a block; see `mount`."""
        grant = await self.mount(at, what, **keys)
        try:
            yield grant
        finally:
            with trio.move_on_after(REVOKE_TIMEOUT, shield=True):
                await grant.revoke()

    async def exists(self, path: str) -> bool:
        """Whether the app's view has something at an absolute path. Raises OSError but for ENOENT and
        ENOTDIR."""
        try:
            await self._world.is_directory(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    async def changes(self) -> Changes:
        """Give what it changed in its copy-on-write mounts until now; also after its end.

        SupervisorError where it was started without `keep`; ChangesError.
        """
        from libos.kept import changes

        if self.plan.keep is None:
            raise SupervisorError("this app's changes are not kept: start it with keep=NAME")
        return await trio.to_thread.run_sync(changes, self.plan.keep)
