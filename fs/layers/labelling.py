"""Labelled: no read up, no write down, by what two labels say of each other.

Rules:
- Below the program's level: it may read; what changes something is EACCES.
- Above: it may look at nothing. Of the mount itself it is shown what kind of file it is, without size and
  times; a name in it cannot be looked up. A file may be opened with O_WRONLY and O_APPEND, and what is
  written lands at its end: that is the only way up, and nothing comes back by it.
- Apart from it: nothing. At the same level: everything.
- A refusal is EACCES and not ENOENT: the thing is granted, and stands at its name; its label refuses.
- Each open, each change of a name and each refusal is told, also what is granted.

Bell and LaPadula's simple security property and *-property; `libos.labels` decides which labels stand how.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

from libos.fs.layers.appending import AppendOnly
from libos.fs.layers.layer import ALL, CHANGES, NAMES, Call, Layer, Proceed
from libos.fs.layers.readonly import writes
from libos.fs.node import Attributes, Cache, File, refusal
from libos.labels import READ_UP, WRITE_DOWN, WRITE_UP

# What was asked for, and the rule that refuses it; "" where it is granted.
Tell = Callable[[Call, str], None]


class Labelled(Layer):
    """Refuses by `reads` and `writes`: whether the labels let the program read, and write. `tell` never
    waits."""

    def __init__(self, *, reads: bool, writes: bool, tell: Tell) -> None:
        self._reads = reads
        self._writes = writes
        self._tell = tell
        self._end = AppendOnly()
        self.operations = NAMES | CHANGES | {"open"} if reads else ALL

    def waits(self, path: bytes, directory: bool) -> bool:
        return not self._reads  # a lookup would answer with sizes and times

    def cache(self, cache: Cache, path: bytes) -> Cache:
        return cache if self._reads else Cache(direct=True)

    def direct(self, flags: int) -> bool:
        return not self._reads

    async def around(self, call: Call, proceed: Proceed) -> Any:
        if call.operation == "stat":
            return _blurred(await proceed())
        if call.operation == "listxattr":
            return ()  # ls(1) asks for them by itself, and so does the kernel for one
        if call.operation == "getxattr":
            raise refusal(errno.ENODATA)
        if call.operation in ("read", "write", "fsync"):
            return await self._through_open(call, proceed)
        rule = self._broken(call)
        self._tell(call, rule)
        if rule:
            raise refusal(errno.EACCES, call.name or None)
        return await proceed()

    async def _through_open(self, call: Call, proceed: Proceed) -> Any:
        """What was opened was allowed then, and labels do not change; upwards it goes to the end."""
        if call.operation == "write" and not self._reads:
            return await self._end.around(call, proceed)
        return await proceed()

    def _broken(self, call: Call) -> str:
        """The rule that an operation breaks, or ""."""
        reads, changes = _uses(call)
        if not self._reads and not self._appends(call):
            return READ_UP if reads or not changes else WRITE_UP if self._writes else WRITE_DOWN
        return WRITE_DOWN if changes and not self._writes else ""

    def _appends(self, call: Call) -> bool:
        """Whether it opens a file in the one way that tells nothing of what is in it."""
        mode, flags = call.flags & os.O_ACCMODE, call.flags
        to_end = mode == os.O_WRONLY and bool(flags & os.O_APPEND) and not flags & os.O_TRUNC
        return call.operation == "open" and isinstance(call.node, File) and to_end


def _uses(call: Call) -> tuple[bool, bool]:
    """Whether an operation reads, and whether it changes something."""
    if call.operation == "open":
        return call.flags & os.O_ACCMODE != os.O_WRONLY, writes(call.flags)
    changes = call.operation in NAMES | CHANGES
    return not changes, changes


def _blurred(attributes: Attributes) -> Attributes:
    """What stat(2) shows of a thing whose content is not to be read."""
    return Attributes(attributes.mode, uid=attributes.uid, gid=attributes.gid)
