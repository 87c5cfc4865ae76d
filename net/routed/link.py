"""What is asked of the link of a routed world beyond being there: how it behaves, and who is told what it
carries. A flat world has none, and nothing is asked of it.

The modules of the parts are imported where one of them is asked for: most worlds start without.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from libos.net.routed.shape import Shape
from libos.net.routed.sides import GATE, Sides
from libos.net.sockets import Observe

if TYPE_CHECKING:
    from libos.net.routed.capture import CaptureTo
    from libos.net.routed.counters import Counters


class Link:
    """The link of one world. `device` is the gate's end of it, `settling` the seconds for which what was sent
    may be on its way."""

    def __init__(
        self, sides: Sides, shape: Shape | None, capture_to: CaptureTo | None, observe: Observe
    ) -> None:
        self.device = "world"
        self.settling = 0.0 if shape is None else shape.settling
        self._sides = sides
        self._shape = shape
        self._capture_to = capture_to
        self._observe = observe

    async def begin(self, stack: contextlib.ExitStack) -> list[Callable[[], Awaitable[None]]]:
        """Capture and shape from now on; gives what is to run meanwhile. What is made is closed with `stack`.
        Raises OSError."""
        return [*await self._capture(stack), *await self._shaped(stack)]

    async def counters(self) -> Counters | None:
        """What it has carried, as it is now; None in a flat world. Raises OSError."""
        from libos.net.routed import counters

        return await counters.read(self._sides)

    async def _capture(self, stack: contextlib.ExitStack) -> list[Callable[[], Awaitable[None]]]:
        if self._capture_to is None:
            return []
        from libos.net.routed import capture

        made = stack.enter_context(contextlib.closing(capture.Capture(self._capture_to, self._observe)))
        made.listen(*await self._sides.open([(GATE, capture.SPEC)]))
        return [made.run]

    async def _shaped(self, stack: contextlib.ExitStack) -> list[Callable[[], Awaitable[None]]]:
        if self._shape is None:
            return []
        from libos.net.routed.shaping import shape_link

        line = await shape_link(self._sides, self._shape)
        if line is None:  # the kernel delays its packets
            return []
        stack.callback(line.close)
        self.device = "gate"
        return [line.run]
