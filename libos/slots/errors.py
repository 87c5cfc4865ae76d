"""What can go wrong with slots."""

from __future__ import annotations

from libos.errors import LibosError


class SlotError(LibosError):
    """A slot is absent, is not what its signed seal says, or cannot be made."""
