"""A world's events that the tests of the view look at, and a view of them without a world."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

from textual.pilot import Pilot

from libos.events import Event, Kind
from libos.seen import Seen
from libos.watch.screen import Watch
from libos.watch.sources import Take

# 2025-12-02 00:00:00 UTC.
BEGAN = 1_764_633_600.0

_PLAN: dict[str, Any] = {
    "manifest": "web.toml",
    "folder": "/srv",
    "directory": "/work",
    "path": "/usr/bin:/bin",
    "syscalls": {"profile": "default", "origin": "libos"},
    "recorded": True,
    "mounts": [
        {"at": "/usr", "what": "host /usr", "mode": "read-only", "mechanism": "bind",
         "reason": "nothing is laid over it", "origin": "profile base"},
        {"at": "/etc/passwd", "what": "text", "mode": "read-only", "mechanism": "served",
         "reason": "Python answers it", "origin": "profile base"},
        {"at": "/work", "what": "host /srv/project", "mode": "copy-on-write", "mechanism": "overlay",
         "reason": "changes end with the world", "origin": "web.toml:12:1"},
        {"at": "/run/secrets/token", "what": "a secret", "mode": "read-only", "mechanism": "served",
         "reason": "Python answers it", "origin": "web.toml:17:1"},
    ],
    "dials": [
        {"id": "d1", "to": "tcp!api.example.com!443", "what": "dial", "origin": "web.toml:21:1"},
        {"id": "d2", "to": "tcp!db.example!5432", "what": "dial", "origin": "web.toml:24:1"},
    ],
    "listens": [
        {"id": "p1", "port": 8000, "network": "tcp", "publish": "127.0.0.1:8000", "origin": "web.toml:27:1"}
    ],
    "limits": [{"key": "memory", "asked": "512M", "mechanism": "cgroup", "origin": "web.toml:31:1"}],
}  # fmt: skip


def event(kind: Kind, after: float = 0.0, /, **fields: Any) -> Event:
    """An event of the world "web", so many seconds after the beginning."""
    return Event(kind, "web", fields, BEGAN + after)


def connection(number: int, **fields: object) -> dict[str, object]:
    """The fields of a connection by the first dial."""
    of = {"address": "tcp!api.example.com!443", "grant": "d1", "to": "93.184.215.14:443"}
    return {**of, "connection": number, **fields}


PLAN = event("world.plan", **_PLAN)
START = event("app.start", 0.1, pid=4711, command=["python3", "web.py"])
EXIT = event("app.exit", 9.0, status=0, reason="exit", seconds=8.9, used={"memory": 20 << 20})
HAPPENED = [
    PLAN,
    START,
    event("path.used", 0.2, path="/usr/bin/python3", operation="execute", mount="/usr"),
    event("path.used", 0.2, path="/usr/lib/python3/os.py", operation="read", mount="/usr", count=12),
    event("path.used", 0.3, path="/work/web.py", operation="read", mount="/work"),
    event("path.used", 0.3, path="/work/out/log", operation="write", mount="/work", count=3),
    event("path.absent", 0.3, path="/etc/ld.so.preload"),
    event("path.absent", 0.4, path="/etc/shadow"),
    event("path.absent", 0.4, path="/etc/shadow"),
    event("path.absent", 0.4, path="/home"),
    event("path.absent", 0.4, path="/usr/bin/git"),
    event("path.absent", 0.4, path="/bin/git"),
    event("name.absent", 0.5, name="collector.example", type="A"),
    event("dial.refused", 0.5, network="tcp", address="1.1.1.1", name=None, port=80, count=3),
    event("dial.open", 0.6, **connection(1)),
    event("dial.close", 0.7, **connection(1, sent=118, received=8530, seconds=0.1, program="curl", pid=9)),
    event("dial.open", 0.8, **connection(2)),
    event("ask", 0.9, id=7, path="/work/key.pem", operation="open"),
    event("limit.hit", 1.0, limit="memory", times=2),
]


def seen(events: Iterable[Event] = HAPPENED) -> Seen:
    """What these events made of a world."""
    made = Seen()
    for each in events:
        made.feed(each)
    return made


class Told:
    """A source that tells what a test says."""

    name = "web"
    trouble = ""

    def __init__(self, events: Iterable[Event] = HAPPENED, *, why_not_running: str = "") -> None:
        self._events = list(events)
        self.over = False
        self.why_not_running = why_not_running
        self.take: Take = lambda events: None

    @contextlib.contextmanager
    def followed(self, take: Take) -> Iterator[None]:
        self.take = take
        take(self._events)
        yield


def look(
    source: Told,
    use: Callable[[Watch, Pilot[None]], Awaitable[None]],
    size: tuple[int, int] = (100, 30),
) -> None:
    """Open a view of a source on a terminal in memory, and use it."""

    async def run() -> None:
        view = Watch(source, measured=False)
        async with view.run_test(size=size) as pilot:
            await pilot.pause()
            await use(view, pilot)

    asyncio.run(run())


def screen(view: Watch) -> str:
    """The text on the screen, without what is blank at the end of its lines."""
    strips = view.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips) + "\n"
