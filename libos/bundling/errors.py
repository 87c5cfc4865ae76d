"""What a bundle cannot be made of."""

from __future__ import annotations

from libos.errors import LibosError


class BundleError(LibosError):
    """The run does not work, is not told whole, or uses what a bundle cannot hold."""
