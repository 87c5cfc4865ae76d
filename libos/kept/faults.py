"""Where tests interrupt a commit or a discard.

Each step that changes something tells its name here once it is done. Nobody listens unless a test does.
"""

from __future__ import annotations

from collections.abc import Callable


def nobody(step: str) -> None:
    """Hear nothing."""


listener: Callable[[str], None] = nobody


def reached(step: str) -> None:
    """A step is done."""
    listener(step)
