"""What can go wrong with images."""

from __future__ import annotations

from libos.errors import LibosError


class ImageError(LibosError):
    """An image is absent, not what its digests say, or may not be unpacked; nothing of it is left."""
