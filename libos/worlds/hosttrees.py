"""Host trees for worlds that root starts.

A world's processes are never the host's root, and no two worlds are the same user, so a tree of root's is
mounted id-mapped: what belongs to the owner of the tree's top belongs to the app inside, and a file made
inside is stored as that owner's. Only the
host's root may make such a mount, so the supervisor does it here and sends the descriptor down; for any other
caller the keeper has the same rights and makes the mount itself. mount_setattr(2), MOUNT_ATTR_IDMAP.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from libos.keeper.identity import SLOT
from libos.kernel import mounts

Owner = tuple[int, int]
# The host's owner whose files are the app's, the id of K that the app is, how many ids follow the same way.
Map = tuple[Owner, int, int]

_SAFE = mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV


class HostTrees:
    """Makes trees; keeps one user namespace for each owner and each id of K that has been the app.
    `id_map(uid, gid, inside, length)` makes one."""

    def __init__(self, id_map: Callable[[int, int, int, int], Awaitable[int]]) -> None:
        self._id_map = id_map
        self._maps: dict[Map, int] = {}
        self._making = trio.Lock()  # worlds that start at once ask for the same owner

    async def open_for(self, steps: list[dict[str, Any]], app: int, *, root: bool = False) -> list[int]:
        """Give the trees that steps (see `worlds.steps`) ask for and note in each step which one is its own.
        `app` is the id of K to whom they belong; `root`: it is root inside.

        The caller owns the descriptors. Raises OSError, and then gives none.
        """
        wanting = [step for step in steps if "source" in step]
        maps = await trio.to_thread.run_sync(
            lambda: [_wanted_map(step["source"], app, root, read_only=step["read_only"]) for step in wanting]
        )
        async with self._making:
            for each in set(maps):
                if each not in self._maps:
                    owner, inside, length = each
                    self._maps[each] = await self._id_map(*owner, inside, length)
        wanted = [
            (step["source"], step["read_only"], self._maps[each], bool(step.get("links")))
            for step, each in zip(wanting, maps, strict=True)
        ]
        for index, step in enumerate(wanting):
            step["tree"] = index
        return await trio.to_thread.run_sync(_clone_all, wanted)

    def open_known(self, source: str, app: int, *, read_only: bool, root: bool = False) -> int | None:
        """Give one tree, for a worker thread; None where its owner has no user namespace yet. Raises
        OSError."""
        map_fd = self._maps.get(_wanted_map(source, app, root, read_only=read_only))
        return None if map_fd is None else _clone(source, read_only, map_fd)

    async def move(self, tree_fd: int, former: int, app: int) -> None:
        """Give a detached mount of a tmpfs, of which all belongs to one id of K, to another. Raises OSError:
        EINVAL where its file system cannot be id-mapped, EPERM where it is already."""
        map_fd = await self._id_map(former, former, app, 1)
        try:
            mounts.set_tree(tree_fd, user_namespace_fd=map_fd, recursive=False)
        finally:
            os.close(map_fd)

    def forget(self, app: int) -> None:
        """Let the user namespaces of an id go that is another supervisor's now."""
        for each in list(self._maps):
            if each[1] == app:
                os.close(self._maps.pop(each))

    def close(self) -> None:
        """Let the user namespaces go; mounts that use one keep it."""
        while self._maps:
            os.close(self._maps.popitem()[1])


def _wanted_map(source: str, app: int, root: bool, *, read_only: bool) -> Map:
    """How a tree's owners are shown. A root inside sees those of root's trees as they are, where nothing is
    stored: there a file of any other owner than the tree's would be one of the host's users."""
    owner = owner_of(source)
    return (owner, app, SLOT if root and read_only and owner == (0, 0) else 1)


def owner_of(path: str) -> Owner:
    """Give the uid and gid that a host tree's top belongs to. Raises OSError."""
    found = os.stat(path)
    return found.st_uid, found.st_gid


def _clone_all(wanted: list[tuple[str, bool, int, bool]]) -> list[int]:
    made: list[int] = []
    try:
        for path, read_only, map_fd, links in wanted:
            made.append(_clone(path, read_only, map_fd, links=links))
    except OSError:
        for fd in made:
            os.close(fd)
        raise
    return made


def _clone(path: str, read_only: bool, map_fd: int, *, links: bool = False) -> int:
    """See `libos.keeper.base.host_tree`."""
    resolve = 0 if links else mounts.RESOLVE_NO_SYMLINKS
    source_fd = mounts.open_beneath(mounts.AT_FDCWD, path, os.O_PATH, resolve)
    try:
        tree_fd = mounts.clone_tree(source_fd)
    finally:
        os.close(source_fd)
    try:
        mounts.set_tree(tree_fd, set_flags=_SAFE | (mounts.MOUNT_ATTR_RDONLY if read_only else 0))
        _map_ids(tree_fd, map_fd)
    except BaseException:
        os.close(tree_fd)
        raise
    return tree_fd


def _map_ids(tree_fd: int, map_fd: int) -> None:
    """Map the top mount. What is mounted below it keeps its owners, which then are nobody's in the world.

    A filesystem that cannot be id-mapped (EINVAL) stays readable by its modes, which is less, never more.
    """
    try:
        mounts.set_tree(tree_fd, user_namespace_fd=map_fd, recursive=False)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
