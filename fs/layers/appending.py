"""Append-only: files grow at their end and lose nothing, as with chattr(1)'s attribute a.

Rules:
- What is there stays: it is not overwritten, cut, renamed, linked, removed, nor does it change mode, owner or
  extended attributes: EPERM. Times may be set.
- New files, directories and links may be made. The handle of a new file need not say O_APPEND; opening for
  writing what is there must: EPERM, open(2).
- A write lands at the end, one after another for each file. One at an offset before the end is EPERM.
- What is open for writing is not cached and cannot be mapped shared: a mapping could overwrite.
"""

from __future__ import annotations

import errno
import os
import weakref
from typing import Any

import trio

from libos.fs.layers.layer import Call, Layer, Proceed
from libos.fs.layers.readonly import writes
from libos.fs.node import Node, refusal


class AppendOnly(Layer):
    """Refuses what takes away."""

    operations = frozenset(
        {"open", "write", "setattr", "setxattr", "removexattr", "link", "remove", "rename"}
    )

    def __init__(self) -> None:
        self._locks: weakref.WeakKeyDictionary[Node, trio.Lock] = weakref.WeakKeyDictionary()

    def direct(self, flags: int) -> bool:
        return writes(flags)

    async def around(self, call: Call, proceed: Proceed) -> Any:
        if call.operation == "write":
            return await self._write(call, proceed)
        if self._takes(call):
            raise refusal(errno.EPERM, call.name or None)
        return await proceed()

    def _takes(self, call: Call) -> bool:
        """Whether the operation takes away something, or might later."""
        if call.operation == "open":
            appends = bool(call.flags & os.O_APPEND) and not call.flags & os.O_TRUNC
            return writes(call.flags) and not appends
        if call.operation == "setattr":
            change = call.change
            return change is None or (change.mode, change.uid, change.gid, change.size) != (None,) * 4
        return True

    async def _write(self, call: Call, proceed: Proceed) -> Any:
        lock = self._locks.setdefault(call.node, trio.Lock())
        async with lock:
            end = (await call.node.stat()).size
            if call.flags & os.O_APPEND:
                call.offset = end  # whatever end the kernel knew when it sent this
            if call.offset < end:
                raise refusal(errno.EPERM)
            return await proceed()
