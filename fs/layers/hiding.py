"""Hide: names that match are absent, whoever makes them and whenever they come.

Rules:
- Absent means ENOENT to look up, remove or move, not in listings, EACCES to make. A link that leads to a
  hidden name leads nowhere.
- Patterns are of gitignore(5); a directory that matches takes all below it with it, and `!` cannot bring
  back what is below.
- A directory is not renamed where something hidden below would come to light: EXDEV, and mv(1) then copies
  what it sees.
- Names decide, not files: a second name that the host has for a hidden file is shown if it does not match.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import Any

import trio

from libos.fs.layers.layer import Call, Layer, Proceed
from libos.fs.layers.patterns import Patterns
from libos.fs.moving import RENAME_EXCHANGE
from libos.fs.node import Directory, refusal


class Hide(Layer):
    """Names that match are absent."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """ValueError for a pattern that cannot be read."""
        self.patterns = Patterns(patterns)
        if self.by_place():
            self.operations = frozenset({"rename"})

    def by_place(self) -> bool:
        """Whether a name may be hidden in one directory and not in another one."""
        return self.patterns.by_place

    def hides(self, path: bytes, directory: bool) -> bool:
        return self.patterns.match(path, directory)

    async def around(self, call: Call, proceed: Proceed) -> Any:
        """A rename: of a directory only where nothing hidden comes to light."""
        assert isinstance(call.node, Directory) and isinstance(call.to, Directory)
        await self._check(call.node, call.name, call.path, call.to_path)
        if call.flags & RENAME_EXCHANGE:
            await self._check(call.to, call.to_name, call.to_path, call.path)
        return await proceed()

    async def _check(self, parent: Directory, name: bytes, old: bytes, new: bytes) -> None:
        top = await parent.walk(name)
        left = [(top, b"")] if isinstance(top, Directory) else []
        while left:
            directory, way = left.pop()
            for each in await directory.readdir():
                await trio.lowlevel.checkpoint()  # a large tree holds nobody up
                node = await directory.walk(each)
                below, is_directory = way + b"/" + each, isinstance(node, Directory)
                hidden_then = self.hides(new + below, is_directory)
                if self.hides(old + below, is_directory):
                    if not hidden_then:
                        raise refusal(errno.EXDEV, name)
                elif isinstance(node, Directory) and not hidden_then:
                    left.append((node, below))
