"""What happens in a world, put on a board while it happens.

Rules: what an event touches in the tree, and its line, are put soon, at most every PAUSE_SECONDS; tables and
the picture, which are made anew as a whole, take at most a tenth of the time. When nothing happens, nothing
runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import trio

from libos.events import Event
from libos.page import drawing
from libos.page.branches import Branches
from libos.page.document import Live, Sheet, page, sheet
from libos.seen import Seen
from libos.seen.fields import tables, text
from libos.seen.lines import line
from libos.seen.tree import Tree, TreeNode
from libos.unwrap import unwrapped
from libos.view.board import Board, Part
from libos.view.feed import Feeds

# Seconds between two drawings of what was touched: the eye sees no more, and a burst is one message.
PAUSE_SECONDS = 0.05
# Seconds between two of the slow drawings, at least.
_SLOW_SECONDS = 0.25
# They take one part of the time in so many.
_SHARE = 10
# Characters of an event's line.
_LONGEST = 300
# Bytes of them a second.
_RATE = 100_000


class Showing:
    """One world on one board: the named one, else that of the first event. `notes` are lines on where the
    events come from."""

    def __init__(self, world: str | None = None) -> None:
        self._world = world
        self._begin()
        self.feeds = Feeds(Board())
        self.notes: list[str] = []
        self._news = trio.Event()
        self._stale = trio.Event()

    def _begin(self) -> None:
        self.seen = Seen(self._world)
        self._branches = Branches(self.seen)
        self._touched: dict[TreeNode, str] = {}

    def forget(self) -> None:
        """Begin anew: browsers load the page again."""
        self._begin()
        self.feeds.renew(Board())

    def take(self, events: Iterable[Event]) -> None:
        """Take events in; they are shown soon."""
        for event in events:
            if self.seen.world is None:
                self.seen.world = event.world
            before = self.seen.events
            self.seen.feed(event)
            if self.seen.events == before:
                continue  # another world's
            for path, lit in _paths(event):
                self._touched[_nearest(self.seen.tree, path)] = lit
            number = self.seen.events
            self.feeds.board.add_line(Part(f"e{number}", "log", drawing.line(number, _cut(line(event)))))
        self._news.set()
        self._stale.set()

    def page(self) -> tuple[str, str]:
        """Give the page as it is now, and its Content-Security-Policy."""
        self._draw_soon()
        lines = [part.html for part in self.feeds.board.lines()]
        return page(self._sheet(), Live(self.feeds.board.version, lines))

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Draw what comes, until cancelled."""
        async with unwrapped(), trio.open_nursery() as nursery:
            nursery.start_soon(self._draw_slowly)
            task_status.started()
            while True:
                await self._news.wait()
                self._news = trio.Event()
                self._draw_soon()
                await trio.sleep(PAUSE_SECONDS)

    def finish(self) -> None:
        """Draw all that is left, and tell the browsers that nothing comes any more."""
        self._draw_soon()
        self._draw_whole()
        self.feeds.end()

    def _draw_soon(self) -> None:
        touched, self._touched = self._touched, {}
        shown = {self._branches.appear(node): lit for node, lit in touched.items()}
        # With each name those above it, which it may have changed: each is drawn once, however many it holds.
        for each in dict.fromkeys(above for node in shown for above in _down_to(node)):
            self._put(each, shown.get(each, ""))
        self.feeds.publish()

    def _put(self, node: TreeNode, lit: str) -> None:
        parent = "tree" if node.parent is None else f"{self._branches.id(node.parent)}-in"
        html = drawing.branch(self._branches.branch(node))
        self.feeds.board.put(Part(self._branches.id(node), parent, html, lit))

    async def _draw_slowly(self) -> None:
        while True:
            await self._stale.wait()
            self._stale = trio.Event()
            begin = trio.current_time()
            size = self._draw_whole()
            took = trio.current_time() - begin
            await trio.sleep(max(_SLOW_SECONDS, _SHARE * took, size / _RATE))

    def _draw_whole(self) -> int:
        """Put what is drawn as a whole; gives how many bytes that is."""
        size = 0
        for part in _whole(self._sheet()):
            size += len(part.html)
            self.feeds.board.put(part)
        self.feeds.publish()
        return size

    def _sheet(self) -> Sheet:
        return sheet(self.seen, branches=self._branches, notes=self.notes)


def _whole(it: Sheet) -> Iterator[Part]:
    """The parts of a page that are made as a whole."""
    yield Part("tiles", "", drawing.tiles(it.tiles))
    yield Part("timeline", "", drawing.timeline(it.picture))
    yield Part("wanted-rows", "", drawing.wanted(it.wanted))
    yield Part("grant-rows", "", drawing.grants(it.grants))
    yield Part("connection-rows", "", drawing.connections(it.connections))
    yield Part("limit-rows", "", drawing.limits(it.limits))
    yield Part("marks", "", drawing.marks(it.marks))


def _paths(event: Event) -> Iterator[tuple[str, str]]:
    """The paths that an event touches, each with the class with which it lights up."""
    fields = event.fields
    if event.kind == "world.plan":
        for mount in tables(fields, "mounts"):
            yield text(mount, "at"), ""
    elif path := text(fields, "path"):
        if event.kind == "path.absent" or (event.kind == "audit" and fields.get("error")):
            yield path, "missed"
        elif event.kind in ("path.used", "audit", "grant", "ask", "answer"):
            yield path, "touched"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _down_to(node: TreeNode) -> list[TreeNode]:
    """The names from the root to this one."""
    chain = [node]
    while chain[-1].parent is not None:
        chain.append(chain[-1].parent)
    return chain[::-1]


def _nearest(tree: Tree, path: str) -> TreeNode:
    """The node of a path, or the nearest above it."""
    node = tree.root
    for name in path.split("/"):
        if name:
            inner = node.children.get(name)
            if inner is None:
                break
            node = inner
    return node
