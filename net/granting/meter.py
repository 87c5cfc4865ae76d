"""Counts what the connections of a grant carry, and holds them to its limits.

Rules:
- One meter a grant: its connections share the totals and the rate.
- `take` is sync: counting and deciding are one step. Bytes beyond a total raise EDQUOT, as a disk quota does;
  who carries then resets the connection.
- The rate is a token bucket each way (RFC 2697's committed rate and burst): a burst of at most an eighth of a
  second, so that what is measured over a second is within a tenth of the rate.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable

from libos.net.granting.rule import Limits

# Seconds of the rate that may pass at once.
_BURST = 0.125
# Bytes: a rate of a few bytes a second still passes a block of this size.
_LEAST_BURST = 1024


class Direction:
    """One way of a meter: bytes so far, and the bucket."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.total = 0
        self._clock = clock
        self._free_at = clock()

    def wait(self, size: int, rate: int) -> float:
        """Seconds to wait before the next block, once `size` bytes have passed."""
        now = self._clock()
        self._free_at = max(self._free_at, now - _BURST) + size / rate
        return max(0.0, self._free_at - now)


class Meter:
    """The meter of one grant."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.sent = Direction(clock)
        self.received = Direction(clock)

    def block(self, most: int, direction: str) -> int:
        """Bytes of "sent" or "received" that may be taken at once, of at most `most`; one where the total is
        used up, since only bytes that come are beyond it."""
        way, limit = self._way(direction)
        if limit is not None:
            most = min(most, limit - way.total)
        if self.limits.rate is not None:
            most = min(most, max(_LEAST_BURST, int(self.limits.rate * _BURST)))
        return max(1, most)

    def take(self, direction: str, size: int) -> float:
        """Count bytes of "sent" or "received" that are about to pass; give the seconds to wait after them.

        Raises OSError (EDQUOT) where they are beyond the limit: they must not pass.
        """
        way, limit = self._way(direction)
        if limit is not None and way.total + size > limit:
            raise quota_error(f"the grant's limit of {limit} bytes {direction}")
        way.total += size
        return 0.0 if self.limits.rate is None else way.wait(size, self.limits.rate)

    def _way(self, direction: str) -> tuple[Direction, int | None]:
        sent = direction == "sent"
        return (self.sent, self.limits.sent) if sent else (self.received, self.limits.received)

    @property
    def spent(self) -> bool:
        """Whether one of the totals is used up."""
        limits = self.limits
        return (limits.sent is not None and self.sent.total >= limits.sent) or (
            limits.received is not None and self.received.total >= limits.received
        )


def quota_error(what: str) -> OSError:
    """EDQUOT, with what ran out."""
    return OSError(errno.EDQUOT, f"{os.strerror(errno.EDQUOT)}: {what}")
