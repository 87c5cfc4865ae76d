"""Typed: what a program may do with a file is decided by who it is, anew at each use.

Rules:
- Asked about are: opening, to read, write or execute; making, moving and taking away a name; changing
  attributes. A rename takes away and makes.
- Names, sizes and times are seen by every program: the kernel keeps them for all of them together.
- What is open was decided when it was opened, whoever uses it then.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable
from typing import Any

from libos.fs.layers.layer import NAMES, Call, Layer, Proceed
from libos.fs.layers.readonly import writes
from libos.fs.node import refusal
from libos.fs.recording import EXECUTE, opened_for

# Whether the program for which the server answers may do all of these: "read", "write", "create", "remove",
# "execute".
Decide = Callable[[Call, frozenset[str]], Awaitable[bool]]

READ, WRITE, MAKE, TAKE, RUN = (
    frozenset({each}) for each in ("read", "write", "create", "remove", "execute")
)


class Typed(Layer):
    """Asks `decide`; EACCES where it says no."""

    operations = NAMES | {"open", "setattr", "setxattr", "removexattr"}

    def __init__(self, decide: Decide) -> None:
        self._decide = decide

    async def around(self, call: Call, proceed: Proceed) -> Any:
        if not await self._decide(call, wanted(call)):
            raise refusal(errno.EACCES, call.name or None)
        return await proceed()


def wanted(call: Call) -> frozenset[str]:
    """What an operation does, in the words of rules."""
    if call.operation == "open":
        return _opens(call.flags)
    if call.operation == "rename":
        return MAKE | TAKE
    if call.operation == "remove":
        return TAKE
    return MAKE if call.operation in NAMES else WRITE


def _opens(flags: int) -> frozenset[str]:
    if EXECUTE in opened_for(flags):
        return RUN
    reads = READ if flags & os.O_ACCMODE != os.O_WRONLY else frozenset()
    return reads | WRITE if writes(flags) else READ
