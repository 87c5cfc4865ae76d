"""What is known of one connection that is carried, and what else has a say in its bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import trio


class Meter(Protocol):
    """Counts what is carried, and holds it to limits; see `libos.net.granting.meter`."""

    @property
    def paced(self) -> bool:
        """Whether bytes have to wait for their turn."""

    def block(self, most: int, direction: str) -> int:
        """Bytes that may be read at once, of at most `most`; 0 where none may pass any more."""

    def reserve(self, direction: str, size: int) -> float:
        """Seconds until so many bytes may pass; a negative size gives back what was reserved."""

    def take(self, direction: str, size: int) -> None:
        """Count bytes that pass. Raises OSError where they must not."""


class Tap(Protocol):
    """Looks at bytes that are about to go out; see `libos.net.http.secrets`."""

    def look(self, data: memoryview) -> None:
        """Judge the next bytes. Raises OSError where they must not pass."""

    def passed(self, data: memoryview) -> None:
        """So many of them have passed."""


@dataclass(eq=False)
class Carried:
    """Bytes that were carried so far, seen from the world: `sent` went out of it, `received` came in.

    `all_sent` is set when the world has ended its side and all that came before is on its way outside.
    `meter` counts them for a grant, and may end the relay or slow it down; `tap` looks at what goes out.
    """

    sent: int = 0
    received: int = 0
    meter: Meter | None = None
    tap: Tap | None = None
    all_sent: trio.Event = field(default_factory=trio.Event)
