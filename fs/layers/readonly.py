"""Read-only: every change is EROFS, as on a file system that is mounted so; mount(2)."""

from __future__ import annotations

import errno
import os
from typing import Any

from libos.fs.layers.layer import CHANGES, NAMES, Call, Layer, Proceed
from libos.fs.node import refusal


class ReadOnly(Layer):
    """Refuses what changes something, also through what was opened for writing before."""

    operations = NAMES | CHANGES | {"open"}

    async def around(self, call: Call, proceed: Proceed) -> Any:
        if call.operation == "open" and not writes(call.flags):
            return await proceed()
        raise refusal(errno.EROFS, call.name or None)


def writes(flags: int) -> bool:
    """Whether open(2)'s flags ask for more than reading."""
    return flags & os.O_ACCMODE != os.O_RDONLY or bool(flags & os.O_TRUNC)
