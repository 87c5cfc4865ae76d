"""Detached mounts of the host's directories, made by who has the right: the keeper, or for root ourselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libos.worlds.messages import close_all
from libos.worlds.services import Services
from libos.worlds.steps import kept_folder

if TYPE_CHECKING:
    from libos.keeper.identity import Identity
    from libos.worlds.hosttrees import HostTrees
    from libos.worlds.keeping import Keeper


class HostMounts:
    """Every method gives a descriptor that the caller owns, or raises OSError."""

    def __init__(
        self,
        keeper: Keeper,
        trees: HostTrees | None,
        identity: Identity,
        disk: int | None = None,
        *,
        root: bool = False,
    ) -> None:
        self._root = root
        self.identity = identity
        self._disk = disk  # bytes that an overlay's changes in memory may be
        self._keeper = keeper
        self.outside = keeper.outside
        self._trees = trees
        self.services = Services(keeper)

    async def bind(self, source: str, *, read_only: bool) -> int:
        """A copy of the mount at a host path."""
        if self._trees is None:
            return await self._keeper.host_tree(source, read_only=read_only)
        (tree_fd,) = await self._trees.open_for(
            [{"source": source, "read_only": read_only}], self.identity.id, root=self._root
        )
        return tree_fd

    def bind_here(self, source: str, *, read_only: bool) -> int | None:
        """As `bind`, for a worker thread; None where that takes others: it then waits for nobody."""
        return (
            None
            if self._trees is None
            else self._trees.open_known(source, self.identity.id, read_only=read_only, root=self._root)
        )

    async def move(self, tree_fd: int, former: int) -> bool:
        """Let a detached mount of another world's, whose app is the id `former` of K, belong to this one's;
        False where that cannot be."""
        assert self._trees is not None  # else all are one user
        try:
            await self._trees.move(tree_fd, former, self.identity.id)
        except OSError:
            return False
        return True

    async def overlay(self, source: str, changes: str | None = None) -> int:
        """An overlay over a host directory, its changes in memory, or in the folder `changes`."""
        app = self.identity.id
        if self._trees is None:
            return await self._keeper.overlay(source, changes, [], app, self._disk)
        wanted = [{"source": source, "read_only": True}]
        if changes is not None:
            wanted.append(kept_folder(changes))
        trees = await self._trees.open_for(wanted, app, root=self._root)
        try:
            return await self._keeper.overlay(source, changes, trees, app, self._disk)
        finally:
            close_all(trees)
