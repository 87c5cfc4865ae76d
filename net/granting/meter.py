"""Counts what the connections of a grant carry, and holds them to its limits.

Rules:
- One meter a grant: its connections share the totals and the rate.
- All is sync: asking, deciding and counting are one step. Bytes beyond a total raise EDQUOT, as a disk quota
  does; who carries then resets the connection.
- The rate is a token bucket each way (RFC 2697's committed rate and burst): bytes are reserved before they
  are read, in the order in which connections ask, so that however many there are they pass no more together.
  A block and the burst are a twentieth of a second each: what passes in a second is within a tenth of it.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable

from libos.net.granting.rule import Limits

# Seconds of the rate that may pass at once after a silence, and that a block is.
_BURST = 0.05
# Bytes: a rate of a few bytes a second still passes a block of this size.
_LEAST_BLOCK = 1024


class LimitError(OSError):
    """EDQUOT: the grant's limit of `limit` ("connections", "sent", "received") is reached."""

    def __init__(self, limit: str, what: str) -> None:
        super().__init__(errno.EDQUOT, f"{os.strerror(errno.EDQUOT)}: {what}")
        self.limit = limit


class Direction:
    """One way of a meter: bytes so far, and the bucket."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.total = 0
        self._clock = clock
        self._free_at = clock()

    def reserve(self, size: int, rate: int) -> float:
        """Seconds until `size` bytes may pass, which are taken out of the bucket; negative: put back."""
        now = self._clock()
        begins = max(self._free_at, now - _BURST)
        self._free_at = begins + size / rate
        return max(0.0, begins - now)


class Meter:
    """The meter of one grant."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.sent = Direction(clock)
        self.received = Direction(clock)

    @property
    def paced(self) -> bool:
        """Whether bytes have to be reserved before they are read."""
        return self.limits.rate is not None

    def block(self, most: int, direction: str) -> int:
        """Bytes of "sent" or "received" that may be taken at once, of at most `most`; 0 where the total is
        used up: whatever comes then is beyond it."""
        way, limit = self._way(direction)
        if self.limits.rate is not None:
            most = min(most, max(_LEAST_BLOCK, int(self.limits.rate * _BURST)))
        return most if limit is None else max(0, min(most, limit - way.total))

    def reserve(self, direction: str, size: int) -> float:
        """Seconds until so many bytes may pass by the rate; a negative size gives back what was reserved."""
        if self.limits.rate is None or size == 0:
            return 0.0
        return self._way(direction)[0].reserve(size, self.limits.rate)

    def take(self, direction: str, size: int) -> None:
        """Count bytes of "sent" or "received" that pass.

        Raises LimitError (EDQUOT) where they are beyond the limit: they must not pass.
        """
        way, limit = self._way(direction)
        if limit is not None and way.total + size > limit:
            raise self._beyond(direction, limit)
        way.total += size

    @property
    def spent(self) -> bool:
        """Whether one of the totals is used up."""
        try:
            self.require()
        except LimitError:
            return True
        return False

    def require(self) -> None:
        """Raises LimitError where one of the totals is used up."""
        for direction in ("sent", "received"):
            way, limit = self._way(direction)
            if limit is not None and way.total >= limit:
                raise self._beyond(direction, limit)

    def _beyond(self, direction: str, limit: int) -> LimitError:
        return LimitError(direction, f"the grant's limit of {limit} bytes {direction}")

    def _way(self, direction: str) -> tuple[Direction, int | None]:
        sent = direction == "sent"
        return (self.sent, self.limits.sent) if sent else (self.received, self.limits.received)
