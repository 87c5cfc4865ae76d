"""A list of rows with a cursor, drawn line by line: only what is on the screen is ever made.

Rules: the cursor stays on its item when rows come and go. What a row holds is text, never markup.
"""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from libos.watch.items import Key, Mark, Subject
from libos.watch.rows import Row, Rows

# Each differs from the others without colour as well, by weight or by its words.
STYLES: dict[Mark, Style] = {
    "plain": Style(),
    "head": Style(bold=True),
    "unused": Style(color="yellow"),
    "refused": Style(color="red"),
    "asked": Style(color="cyan", bold=True),
    "faint": Style(dim=True),
}
_CURSOR = Style(reverse=True)
_RESTING = Style(bold=True)


class Listing(ScrollView, can_focus=True):
    """Rows; says `Selected` when the cursor stands on another item, `Turned` when one is to fold or
    unfold."""

    DEFAULT_CSS = "Listing { overflow-x: hidden; scrollbar-size-vertical: 1; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "move(-1000000000)", show=False),
        Binding("end", "move(1000000000)", show=False),
        Binding("enter,space", "turn", show=False),
        Binding("right", "turn(True)", show=False),
        Binding("left", "turn(False)", show=False),
    ]

    class Selected(Message):
        """The cursor of `listing` stands on another item, or it has got the focus."""

        def __init__(self, listing: Listing) -> None:
            super().__init__()
            self.listing = listing

    class Turned(Message):
        """The item with this key is to be open, or not."""

        def __init__(self, key: Key, *, opened: bool) -> None:
            super().__init__()
            self.key = key
            self.opened = opened

    def __init__(self, title: str, empty: str, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._title = title
        self._empty = empty
        self._rows: list[Row] = []
        self._at = 0

    @property
    def rows(self) -> list[Row]:
        """What is drawn."""
        return self._rows

    @property
    def subject(self) -> Subject:
        """What the cursor stands on."""
        return self._rows[self._at].item.subject if self._rows else None

    def draw(self, rows: Rows) -> None:
        """Show other rows, the cursor where it was."""
        key = self._rows[self._at].item.key if self._rows else None
        self._rows = rows.rows
        found = next((i for i, row in enumerate(self._rows) if row.item.key == key), self._at)
        self._at = max(0, min(found, len(self._rows) - 1))
        hidden = f", {rows.hidden} hidden by the filter" if rows.hidden else ""
        self.border_title = f"{self._title}{hidden}"
        self.virtual_size = Size(self.size.width, len(self._rows))
        if self._at != found or found:
            self._show_cursor()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        return self._line(y).apply_style(self.rich_style)

    def _line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        at = y + self.scroll_offset.y
        if not self._rows and y == 0:
            return Strip([Segment(set_cell_size(self._empty, width), Style(dim=True))], width)
        if at >= len(self._rows):
            return Strip.blank(width)
        row = self._rows[at]
        style = STYLES[row.item.mark]
        if at == self._at:
            style += _CURSOR if self.has_focus else _RESTING
        return Strip([Segment(line(row, width), style)], width)

    # --- moving

    def action_move(self, by: int) -> None:
        self._select(self._at + by)

    def action_page(self, direction: int) -> None:
        self._select(self._at + direction * max(1, self.size.height - 1))

    def action_turn(self, opened: bool | None = None) -> None:
        """Open or close the row; a row that does not fold is left for the one above it."""
        if not self._rows:
            return
        row = self._rows[self._at]
        wanted = not row.opened if opened is None else opened
        if row.opened is not None and wanted != row.opened:
            self.post_message(self.Turned(row.item.key, opened=wanted))
        elif opened is False:
            above = (i for i in range(self._at - 1, -1, -1) if self._rows[i].depth < row.depth)
            self._select(next(above, self._at))

    def on_click(self, event: events.Click) -> None:
        content = event.get_content_offset(self)
        if content is not None and content.y + self.scroll_offset.y < len(self._rows):
            self._select(content.y + self.scroll_offset.y)
            if event.chain == 2:
                self.action_turn()

    def on_focus(self) -> None:
        self.post_message(self.Selected(self))

    def _select(self, at: int) -> None:
        at = max(0, min(at, len(self._rows) - 1))
        if at != self._at:
            self._at = at
            self._show_cursor()
            self.refresh()
            self.post_message(self.Selected(self))

    def _show_cursor(self) -> None:
        self.scroll_to_region(Region(0, self._at, 1, 1), animate=False, force=True, immediate=True)


def line(row: Row, width: int) -> str:
    """A row in exactly `width` cells: the tail stays whole, as far as there is room, and the text is cut."""
    mark = "" if row.opened is None else "▾ " if row.opened else "▸ "
    text = f"{'  ' * row.depth}{mark or '  '}{row.item.text}"
    tail = row.item.tail
    room = width - cell_len(tail) - 1 if tail else width
    if room < width // 3:
        return set_cell_size(text, width)
    if cell_len(text) > room:
        text = set_cell_size(text, max(0, room - 1)) + "…"
    return set_cell_size(f"{set_cell_size(text, room)} {tail}" if tail else text, width)
