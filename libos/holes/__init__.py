"""Every way out of a world, listed before it runs: what a factory of KeyKOS said of what it makes."""

from libos.holes.listing import COVERT, Hole, holes
from libos.holes.special import Special, special_files

__all__ = ["COVERT", "Hole", "Special", "holes", "special_files"]
