"""The state that every view draws: what happened in a world, from its events, bounded. Pure.

Rules: an event that is not understood changes nothing but `events`; one that is told after something was lost
still counts. Fields may hold anything, since files do. Texts are kept as they came, cut in length alone: who
prints them makes them harmless.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from libos.events import Event
from libos.seen.attempts import Attempt, Attempts
from libos.seen.connections import ConnectionsSeen
from libos.seen.fields import number, tables, text, texts, times, whole
from libos.seen.folding import Group, folded
from libos.seen.grants import GrantSeen, GrantsSeen
from libos.seen.questions import QuestionsSeen
from libos.seen.timeline import Timeline
from libos.seen.tree import ABSENT, DENIED, OPERATIONS, Tree

# The latest events that are kept as they came.
RECENT = 2000
# Worlds whose names are kept.
_WORLDS = 1000


@dataclass
class Limit:
    """One limit: what was asked, what holds it, where it was asked for, how often it was met."""

    key: str
    asked: str = ""
    mechanism: str = ""
    origin: str = ""
    hits: int = 0


@dataclass
class Exit:
    """How the app ended; `used` are its peaks, where a cgroup counted them."""

    status: int
    reason: str
    seconds: float
    time: float
    used: dict[str, float] = field(default_factory=dict)


@dataclass
class About:
    """What a world is. `manifest` is the name that messages give it, relative to `folder`; `path` is PATH."""

    name: str = ""
    manifest: str = ""
    folder: str = ""
    directory: str = ""
    path: str = ""
    command: tuple[str, ...] = ()
    pid: int | None = None
    syscalls: str = ""
    syscalls_allow: tuple[str, ...] = ()
    syscalls_deny: tuple[str, ...] = ()
    syscalls_origin: str = ""
    started: float | None = None


class Seen:
    """What happened in one world: that of the name, or whatever is told where none is given.

    `tree`, `grants`, `attempts`, `questions`, `connections`, `limits`, `exit`, `timeline` and `recent` are
    for reading. `lost` counts events that a reader was told it lost, `missing` is what the host could not
    give.
    """

    def __init__(self, world: str | None = None) -> None:
        self.world = world
        self.worlds: dict[str, None] = {}
        self.about = About(world or "")
        self.tree = Tree()
        self.grants = GrantsSeen()
        self.attempts = Attempts()
        self.questions = QuestionsSeen()
        self.connections = ConnectionsSeen()
        self.limits: dict[str, Limit] = {}
        self.missing: dict[str, str] = {}
        self.exit: Exit | None = None
        self.timeline = Timeline()
        self.recent: deque[Event] = deque(maxlen=RECENT)
        self.events = 0
        self.lost = 0
        self.untold = 0
        self.recorded = False
        self.first: float | None = None
        self.last: float | None = None

    def feed(self, event: Event) -> None:
        """Take one event. Never fails."""
        if event.world is not None:
            if len(self.worlds) < _WORLDS:
                self.worlds[event.world] = None
            if self.world is not None and event.world != self.world:
                return
            self.about.name = self.about.name or event.world
        self.events += 1
        self.first = event.time if self.first is None else self.first
        self.last = event.time
        self.recent.append(event)
        self._refused(event)
        if take := _TAKES.get(event.kind):
            take(self, event)

    @property
    def is_complete(self) -> bool:
        """Whether it is known to the end: the app's exit was told, and nothing was lost."""
        return self.exit is not None and not self.lost

    def marks(self) -> list[str]:
        """What a view must say of its own gaps, a line each."""
        found = []
        if self.exit is None:
            found.append("incomplete: the app's end was not told")
        if self.lost:
            found.append(f"{self.lost} events were lost")
        if self.untold:
            found.append(f"{self.untold} uses of further paths were not told one by one")
        if self.tree.is_full:
            found.append("some paths are counted for the directory above them: there were too many")
        if self.attempts.beyond:
            found.append(f"{self.attempts.beyond} attempts at further things are not shown")
        if self.grants.beyond:
            found.append(f"{self.grants.beyond} further grants are not shown")
        if not self.recorded:
            found.append("the use of mounts was not recorded: libos run --record")
        return found

    def groups(self) -> list[Group]:
        """What was tried in vain, folded; see `libos.seen.folding`."""
        used = (node.path for node in self.tree.root.walk() if node.own["execute"] or node.own["read"])
        return folded(self.attempts, self.about.path, used)

    def unused(self) -> list[GrantSeen]:
        """The grants that are known to have never been used."""
        return [each for each in self.grants if not each.used and self.is_known(each)]

    def is_known(self, grant: GrantSeen) -> bool:
        """Whether all use of a grant was told."""
        return self.grants.is_known(grant, recorded=self.recorded)

    def _refused(self, event: Event) -> None:
        attempt = self.attempts.add(event)
        if attempt is None:
            return
        count = times(event.fields)
        self.timeline.add(event.time, "absent" if attempt.kind in ("path", "name") else "refused", count)
        grant = self.grants.dialed(event.fields)
        if attempt.kind == "path":
            self.tree.count(attempt.what, ABSENT, count, event.time)
        elif event.kind in ("audit", "answer") and attempt.what.startswith("/"):
            self.tree.count(attempt.what, DENIED, count, event.time)
            grant = self.grants.covering(attempt.what)
        if grant is not None and attempt.kind != "error":
            grant.refused += count

    # --- one method a kind of event

    def _plan(self, event: Event) -> None:
        fields, about = event.fields, self.about
        about.manifest = text(fields, "manifest") or about.manifest
        about.folder = text(fields, "folder") or about.folder
        about.directory = text(fields, "directory") or about.directory
        about.path = text(fields, "path") or about.path
        syscalls = fields.get("syscalls")
        if isinstance(syscalls, dict):
            about.syscalls, about.syscalls_origin = text(syscalls, "profile"), text(syscalls, "origin")
            about.syscalls_allow, about.syscalls_deny = texts(syscalls, "allow"), texts(syscalls, "deny")
        self.recorded = self.recorded or fields.get("recorded") is True
        for grant in self.grants.plan(fields):
            self._stand(grant)
        for each in tables(fields, "limits"):
            limit = self._limit(text(each, "key"))
            limit.asked, limit.mechanism = text(each, "asked"), text(each, "mechanism")
            limit.origin = text(each, "origin")

    def _stand(self, grant: GrantSeen) -> None:
        node, is_own = self.tree.place(grant.at)
        if is_own:
            node.grant = grant.number

    def _start(self, event: Event) -> None:
        self.about.command = texts(event.fields, "command")
        self.about.pid = whole(event.fields, "pid")
        self.about.started = event.time
        self.exit = None

    def _end(self, event: Event) -> None:
        fields = event.fields
        self.questions.end()
        used = fields.get("used")
        peaks = {key: number(used, key) for key in list(used)[:20]} if isinstance(used, dict) else {}
        seconds, status = number(fields, "seconds"), whole(fields, "status") or 0
        self.exit = Exit(status, text(fields, "reason"), seconds, event.time, peaks)

    def _used(self, event: Event) -> None:
        self.recorded = True
        fields, count = event.fields, times(event.fields)
        operation = text(fields, "operation")
        if operation not in OPERATIONS:
            return
        path = text(fields, "path")
        self._use(path, operation, count, event.time, self.grants.mounted(text(fields, "mount")))

    def _untold(self, event: Event) -> None:
        self.untold += times(event.fields)

    def _audited(self, event: Event) -> None:
        operation = _OF_AUDIT.get(text(event.fields, "operation"))
        path, error = text(event.fields, "path"), text(event.fields, "error")
        if operation is None or not path or self.recorded:
            return  # a recorded run tells the same use itself
        if error == "ENOENT":
            self.tree.count(path, ABSENT, 1, event.time)
        elif not error:
            self._use(path, operation, 1, event.time, None)

    def _use(self, path: str, operation: str, count: int, time: float, grant: GrantSeen | None) -> None:
        self.tree.count(path, operation, count, time)
        self.timeline.add(time, "files", count)
        grant = grant or self.grants.covering(path)
        if grant is not None:
            grant.use(operation, count, time)

    def _granted(self, event: Event) -> None:
        grant = self.grants.changed(event.fields)
        if grant is not None and grant.kind == "mount":
            self._stand(grant)

    def _dial_opens(self, event: Event) -> None:
        self.connections.opens("dial", event.time, event.fields)
        self._connected(self.grants.dialed(event.fields), event.time)

    def _listen_opens(self, event: Event) -> None:
        self.connections.opens("listen", event.time, event.fields)
        network = "udp" if text(event.fields, "address").startswith("udp!") else "tcp"
        self._connected(self.grants.published(network, whole(event.fields, "port") or 0), event.time)

    def _connected(self, grant: GrantSeen | None, time: float) -> None:
        self.timeline.add(time, "connections")
        if grant is not None:
            grant.use("connect", 1, time)

    def _closes(self, event: Event) -> None:
        self.connections.closes(event.kind.partition(".")[0], event.time, event.fields)

    def _asked_by_http(self, event: Event) -> None:
        self.connections.request(event.fields)
        if (grant := self.grants.dialed(event.fields)) is not None:
            grant.use("request", 1, event.time)

    def _asks(self, event: Event) -> None:
        self.questions.asked(event.time, event.fields)

    def _answers(self, event: Event) -> None:
        self.questions.answered(event.fields)

    def _limit_hit(self, event: Event) -> None:
        self._limit(text(event.fields, "limit")).hits += max(1, whole(event.fields, "times") or 1)

    def _limit(self, key: str) -> Limit:
        if key in self.limits or len(self.limits) < 100:
            return self.limits.setdefault(key, Limit(key))
        return Limit(key)

    def _missing(self, event: Event) -> None:
        if len(self.missing) < 100:
            self.missing[text(event.fields, "feature")] = text(event.fields, "reason")

    def _error(self, event: Event) -> None:
        self.lost += whole(event.fields, "lost") or 0

    def attempt(self, kind: str, what: str) -> Attempt | None:
        """What was tried of exactly this."""
        return self.attempts.get(kind, what)


# What an audited operation is among those of the tree.
_OF_AUDIT = {
    "walk": "look", "stat": "look", "open": "look", "readlink": "look", "readdir": "list", "read": "read",
    "write": "write", "setattr": "write", "create": "create", "mkdir": "create", "symlink": "create",
    "mknod": "create", "link": "create", "remove": "remove", "rename": "write",
}  # fmt: skip

_TAKES: dict[str, Callable[[Seen, Event], None]] = {
    "world.plan": Seen._plan,
    "app.start": Seen._start,
    "app.exit": Seen._end,
    "path.used": Seen._used,
    "path.untold": Seen._untold,
    "audit": Seen._audited,
    "grant": Seen._granted,
    "ask": Seen._asks,
    "answer": Seen._answers,
    "dial.open": Seen._dial_opens,
    "dial.close": Seen._closes,
    "listen.open": Seen._listen_opens,
    "listen.close": Seen._closes,
    "name.resolved": lambda seen, event: seen.grants.resolved(event.fields),
    "http.request": Seen._asked_by_http,
    "limit.hit": Seen._limit_hit,
    "missing": Seen._missing,
    "error": Seen._error,
}
