"""Audited: each operation that reaches the tree is told, with its result.

Rules:
- What the kernel answers by itself is not seen, so it may keep nothing: each lookup, stat and open comes, and
  each open reads anew. Within one open file the kernel reads ahead and keeps pages, which mappings need.
- It is told once it is done: with its errno, or 0. An operation that is cancelled is told with EINTR.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import trio

from libos.fs.layers.layer import ALL, Call, Layer, Proceed
from libos.fs.node import Cache

# What was asked, its errno or 0, and the bytes that passed (0 for what carries none).
Tell = Callable[[Call, int, int], None]


class Audited(Layer):
    """Tells each operation to `tell`, which never waits."""

    operations = ALL

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def cache(self, cache: Cache, path: bytes) -> Cache:
        return Cache(direct=cache.direct)

    async def around(self, call: Call, proceed: Proceed) -> Any:
        try:
            result = await proceed()
        except OSError as error:
            self._tell(call, error.errno or errno.EIO, 0)
            raise
        except trio.Cancelled:
            self._tell(call, errno.EINTR, 0)
            raise
        except Exception:
            self._tell(call, errno.EIO, 0)
            raise
        passed = len(result) if call.operation == "read" else result if call.operation == "write" else 0
        self._tell(call, 0, passed)
        return result
