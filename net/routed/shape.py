"""What a link is to behave like: its rate, delay, jitter and loss, each way. Pure."""

from __future__ import annotations

from dataclasses import dataclass

# Bytes of a full packet with its Ethernet header: what a shaped link carries at a time.
FRAME = 1514
# Seconds of its rate that a link passes at once, and that it keeps in its queue at least: tc-tbf(8) calls the
# latter latency, and writes 50 ms in its examples.
_BURST, _QUEUE = 0.004, 0.05
# Packets that are on their way at once: what netem keeps.
IN_FLIGHT = 10_000


@dataclass(frozen=True)
class Shape:
    """`rate` in bytes a second, as the link carries them, with Ethernet headers; `delay` and `jitter` in
    seconds, each way: a round trip takes twice the delay. `loss` is the share of packets that is lost."""

    rate: int | None = None
    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0

    @property
    def late(self) -> bool:
        """Whether packets arrive later than they are sent, or not at all."""
        return bool(self.delay or self.jitter or self.loss)

    @property
    def burst(self) -> int:
        """Bytes that pass at once: two packets at least."""
        return max(2 * FRAME, int((self.rate or 0) * _BURST))

    @property
    def queue(self) -> int:
        """Bytes that wait for their turn before packets are dropped: what fills the link once, ten packets at
        least."""
        return max(10 * FRAME, int((self.rate or 0) * max(_QUEUE, 2 * self.delay))) + self.burst

    @property
    def settling(self) -> float:
        """Seconds after which a packet that was sent has arrived or was lost."""
        waiting = 0.0 if self.rate is None else self.queue / self.rate
        return self.delay + self.jitter + waiting
