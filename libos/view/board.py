"""What each part of a page shows now, and since which version of the page. Pure.

A page is made of parts with identities: a name in a tree, a table's body, a picture. Who shows it needs the
parts that changed since the version that he has, whatever happened in between: so a browser that is slow or
was away gets the state and not its history, and what is kept for it is bounded by the page.

Rules: a part never goes; what holds others is put before them; `since` gives parts in the order in which
they were first put, so that a part's parent is there before it. Lines are the exception: of these the latest
LINES are kept, numbered, so that a gap is seen.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from itertools import takewhile

# Lines that are kept: as many as a page holds.
LINES = 200


@dataclass(frozen=True)
class Part:
    """One part: the id of its element, the id of the element that holds it, its HTML, and the class with
    which it lights up, "" where it does not."""

    id: str
    parent: str
    html: str
    lit: str = ""


class Board:
    """The parts of a page. `version` grows with each change that is published."""

    def __init__(self) -> None:
        self.version = 0
        self._changed = False
        # By their last change, the latest last; with the version of that, and the order of their first.
        self._parts: OrderedDict[str, tuple[int, int, Part]] = OrderedDict()
        self._lines: deque[tuple[int, Part]] = deque(maxlen=LINES)

    def __len__(self) -> int:
        return len(self._parts)

    def put(self, part: Part) -> None:
        """Show this part from the next version on; nothing where it shows the same and does not light up."""
        known = self._parts.get(part.id)
        if known is not None and known[2].html == part.html and not part.lit:
            return
        order = len(self._parts) if known is None else known[1]
        self._parts[part.id] = (self.version + 1, order, part)
        self._parts.move_to_end(part.id)
        self._changed = True

    def add_line(self, part: Part) -> None:
        """Add a line from the next version on."""
        self._lines.append((self.version + 1, part))
        self._changed = True

    def lines(self) -> list[Part]:
        """Give the lines that are kept, oldest first."""
        return [part for _, part in self._lines]

    def publish(self) -> bool:
        """Make what was put the next version; False where nothing was."""
        if not self._changed:
            return False
        self._changed = False
        self.version += 1
        return True

    def since(self, version: int) -> list[Part]:
        """Give the published parts that changed after that version, each as it is now, and then the lines."""
        newer = takewhile(lambda each: each[0] > version, reversed(self._parts.values()))
        parts = sorted((each for each in newer if each[0] <= self.version), key=lambda each: each[1])
        lines = (part for since, part in self._lines if version < since <= self.version)
        return [*(part for _, _, part in parts), *lines]
