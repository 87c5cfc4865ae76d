"""Labels as values: a level and categories, and which of two stands above the other. Pure."""

from __future__ import annotations

from libos.labels.lattice import READ_UP, WRITE_DOWN, WRITE_UP, Label, Lattice, name, ordered, parse

__all__ = ["READ_UP", "WRITE_DOWN", "WRITE_UP", "Label", "Lattice", "name", "ordered", "parse"]
