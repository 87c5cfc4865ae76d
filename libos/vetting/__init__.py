"""What may be executed of a tree: files that pass a check, which is made before the app starts."""

from __future__ import annotations

from libos.vetting.checking import Check, is_code
from libos.vetting.trees import Inspected, inspect, inspect_signed

__all__ = ["Check", "Inspected", "inspect", "inspect_signed", "is_code"]
