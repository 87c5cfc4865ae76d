"""Only: names that match nothing are absent, but for the directories that may lead to a match.

Rules: those of `hiding`, turned round. A directory that matches is there with all below it. One that does not
is there when a pattern names it on its way (`/src/*.py`: src), or names no place at all (`*.py`: every one).
"""

from __future__ import annotations

from collections.abc import Iterable

from libos.fs.layers.hiding import Hide


class Only(Hide):
    """Names that match nothing are absent."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """ValueError for a pattern that cannot be read."""
        super().__init__(patterns)
        self._leading = self.patterns.leading()

    def by_place(self) -> bool:
        return True  # what is below a directory that matches is there

    def hides(self, path: bytes, directory: bool) -> bool:
        return not (self.patterns.match(path, directory) or (directory and self._leading.match(path)))
