"""Two slots of a tree, A and B: the one is served while the other is replaced, as CoreOS does with /usr.

`sealing` makes and checks the signed seal of a tree, `slots` keeps two of them on disk with their flags, and
`root` serves the better one and switches while programs run, and back when a health check fails.
"""

from __future__ import annotations

from libos.slots.errors import SlotError
from libos.slots.root import SlotRoot
from libos.slots.sealing import seal
from libos.slots.slots import Slots

__all__ = ["SlotError", "SlotRoot", "Slots", "seal"]
