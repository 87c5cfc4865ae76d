"""How much a relay carries before other tasks run.

Rules:
- One turn of trio's scheduler runs every task that can run. So what all relays carry in one turn is bounded,
  and not only what each of them does: else an app with thousands of connections would hold up files and other
  worlds for seconds.
- A few busy relays carry whole blocks; many share the bound, as many as ran in the turn before. In the turn
  in which they come, those that find it used up carry the least.
"""

from __future__ import annotations

from typing import Any

import trio

# Bytes that one direction of a relay carries in a turn: about 2 ms.
_MOST = 4 * 1024 * 1024
# The same where it must be little: what costs little more a byte than a whole block.
_LEAST = 16 * 1024
# Bytes of all relays in a turn: about 15 ms, and eight streams are not slowed.
_ALL = 32 * 1024 * 1024


class Turns(trio.abc.Instrument):
    """The turns of one run of trio: made by `turns`."""

    def __init__(self) -> None:
        self._share = _MOST
        self._ran = self._spent = 0

    def begin(self) -> int:
        """Bytes that a direction may carry until it gives way; called as its turn begins."""
        self._ran += 1
        return self._share if self._spent < _ALL else _LEAST

    def spend(self, size: int) -> None:
        """Count what was carried."""
        self._spent += size

    def before_io_wait(self, timeout: float) -> None:
        """One turn of the scheduler has ended."""
        del timeout
        if self._ran:
            self._share = max(_LEAST, min(_MOST, _ALL // self._ran))
            self._ran = self._spent = 0


_turns: trio.lowlevel.RunVar[Any] = trio.lowlevel.RunVar("libos.net turns")


def turns() -> Turns:
    """Those of the run that this is called in."""
    try:
        made: Turns = _turns.get()
    except LookupError:
        made = Turns()
        _turns.set(made)
        trio.lowlevel.add_instrument(made)
    return made
