"""Faulty: errors, short reads and delays, to see how a program behaves; the same ones for the same seed.

Rules:
- Whether an operation fails depends on the seed, its name, its path and how often it was done there before:
  not on what other programs do meanwhile, so a test that fails can be run again.
- Lookups never fail and never wait: a name does not come and go, and no directory is held up. Closing never
  fails.
- An operation that fails has done nothing.
- Where reads fail or are short nothing goes through the kernel's pages, which would hide it: shared mappings
  are ENODEV there.
"""

from __future__ import annotations

import errno
import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import trio

from libos.fs.layers.layer import ALL, Call, Layer, Proceed
from libos.fs.layers.patterns import Patterns
from libos.fs.node import Cache, refusal

# Paths and operations whose number of uses is kept; the oldest begins again.
KEPT = 1 << 16


class Faulty(Layer):
    """Makes things fail."""

    operations = ALL - {"walk"}

    def __init__(
        self,
        *,
        seed: int = 0,
        rate: float = 0.0,
        errors: Iterable[int | str] = (errno.EIO,),
        short: float = 0.0,
        delay: float = 0.0,
        patterns: Iterable[str] = (),
    ) -> None:
        """`rate` and `short` are shares from 0 to 1, of all operations and of reads; `errors` are errnos or
        their names; `delay` is in seconds, for each operation; with `patterns` only files that match. The
        root has the path `b""`, which only no pattern at all touches. ValueError for what is none of this."""
        if not (0 <= rate <= 1 and 0 <= short <= 1 and delay >= 0):
            raise ValueError("rate and short are from 0 to 1, delay is 0 or more")
        self.errors = tuple(_number(each) for each in errors)
        if not self.errors:
            raise ValueError("name at least one error")
        self.seed, self.rate, self.short, self.delay = seed, rate, short, delay
        lines = tuple(patterns)
        self._patterns = Patterns(lines) if lines else None
        self._uses: OrderedDict[tuple[str, bytes], int] = OrderedDict()
        self.patience = delay

    def _touches(self, path: bytes, directory: bool) -> bool:
        return self._patterns is None or (path != b"" and self._patterns.match(path, directory))

    def waits(self, path: bytes, directory: bool) -> bool:
        return bool(self.rate or self.delay) and self._touches(path, directory)

    def cache(self, cache: Cache, path: bytes) -> Cache:
        if not (self.rate or self.short or self.delay) or not self._touches(path, False):
            return cache
        whole = bool(self.rate or self.short)
        return Cache(entry=cache.entry, direct=cache.direct or whole, parting=cache.parting)

    async def around(self, call: Call, proceed: Proceed) -> Any:
        if not self._touches(call.path, call.directory and not call.name):
            return await proceed()
        number, draws = self._draw(call)
        if self.delay:
            await trio.sleep(self.delay)
        if draws[0] < self.rate:
            raise refusal(self.errors[number % len(self.errors)], call.name or None)
        result = await proceed()
        if call.operation == "read" and len(result) > 1 and draws[1] < self.short:
            return result[: 1 + number % (len(result) - 1)]
        return result

    def _draw(self, call: Call) -> tuple[int, tuple[float, float]]:
        """A number for this use, and two shares from 0 to below 1."""
        key = (call.operation, call.path)
        use = self._uses[key] = self._uses.pop(key, 0) + 1
        if len(self._uses) > KEPT:
            self._uses.popitem(last=False)
        text = b"%d %s %d " % (self.seed, call.operation.encode(), use) + call.path
        digest = hashlib.blake2b(text, digest_size=24).digest()
        first, second, third = (int.from_bytes(digest[at : at + 8]) for at in (0, 8, 16))
        return first, (second / 2**64, third / 2**64)


def _number(error: int | str) -> int:
    """An errno, from its name too."""
    found = getattr(errno, error, None) if isinstance(error, str) else error
    if not isinstance(found, int) or found not in errno.errorcode:
        raise ValueError(f"{error!r} is no errno: write a name of errno(3), as EIO or ENOSPC")
    return found
