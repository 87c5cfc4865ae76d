"""The directories of a world's skeleton in which a file of the host may be replaced by rename."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from libos.fs.node import Node
    from libos.fs.replaceable import Replaceables
    from libos.fs.skeleton import OnAbsent, Skeleton
    from libos.plan import Plan, Served


class Replacing:
    """Makes each such directory once, before anything stands in it."""

    def __init__(self, skeleton: Skeleton, plan: Plan, on_absent: OnAbsent) -> None:
        self._folders: dict[str, Replaceables] = {}
        for path in sorted({posixpath.dirname(each.at) for each in plan.served if each.replaceable}):
            from libos.fs.replaceable import Replaceables

            folder = self._folders[path] = Replaceables(path.encode(), on_absent)
            skeleton.attach(path.encode(), folder)

    def allow(self, served: Served, node: Node) -> None:
        """Let what is served at a place be replaced, where it was asked for."""
        if served.replaceable:
            folder, name = posixpath.split(served.at)
            self._folders[folder].allow(name.encode(), node)
