"""What a world holds, as its `world.plan` and `grant` events say, and how often each grant was used. Pure.

Rules: whether a dial or a published port was used is always known. The use of a mount is known where the run
was recorded (`path.used`), or where the mount is audited; otherwise it is unknown, which is not the same as
never.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from libos.seen.fields import Fields, tables, text, texts, whole

# Grants that are remembered: a manifest has some tens, and an app can drop and bind for as long as it likes.
MOST = 5000

# Names of one dial that are remembered: a pattern has as many as an app makes up.
_NAMES = 100

What = Literal["mount", "dial", "listen"]
# Mechanisms of what every world has, as init makes it.
_LATER = "a command or the caller, while it ran"


@dataclass(eq=False)
class GrantSeen:
    """One grant. `at` is a path, a dial(2) address, or "tcp!*!PORT"; `origin` says where it was asked for
    ("agent.toml:12:1", "profile base"). `uses` counts by operation, `ended` is what took it away ("revoke",
    "drop"), or ""."""

    number: int
    kind: What
    at: str
    what: str = ""
    mode: str = ""
    mechanism: str = ""
    reason: str = ""
    origin: str = ""
    id: str = ""
    uses: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    last: float = 0.0
    ended: str = ""
    narrowed: int = 0
    audited: bool = False
    layers: tuple[tuple[str, ...], ...] = ()  # of a mount, in the words of namespace(6)
    deny: tuple[str, ...] = ()  # of a dial
    # Of a dial: names that led outside to private addresses, which it does not allow; whether to no others.
    private: dict[str, tuple[tuple[str, ...], bool]] = field(default_factory=dict)

    @property
    def used(self) -> int:
        """How often it was used, whatever for."""
        return self.uses.total()

    def use(self, operation: str, count: int, time: float) -> None:
        """Count a use."""
        self.uses[operation] += count
        self.last = max(self.last, time)


class GrantsSeen:
    """All grants of one world, in the order in which they were told."""

    def __init__(self) -> None:
        self._all: list[GrantSeen] = []
        # Of those that are remembered alone.
        self._mounts: dict[str, GrantSeen] = {}  # by place: the last one there
        self._network: dict[str, GrantSeen] = {}  # by id
        self._ports: dict[tuple[str, int], GrantSeen] = {}
        self.beyond = 0

    def __iter__(self) -> Iterator[GrantSeen]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, number: int) -> GrantSeen:
        return self._all[number]

    def plan(self, fields: Fields) -> list[GrantSeen]:
        """Take what a `world.plan` event says; gives the mounts among it."""
        told = map(self._mount, tables(fields, "mounts"))
        mounts = [grant for grant in told if grant is not None]
        for each in tables(fields, "dials"):
            grant = self._add("dial", text(each, "to"), each)
            if grant is None:
                break
            grant.deny = texts(each, "deny")
            self._network.setdefault(grant.id, grant)
        for each in tables(fields, "listens"):
            network, port = text(each, "network") or "tcp", whole(each, "port") or 0
            grant = self._add("listen", f"{network}!*!{port}", each)
            if grant is None:
                break
            grant.what = f"publish {text(each, 'publish')}"
            if grant.id:
                self._network.setdefault(grant.id, grant)
            self._ports.setdefault((network, port), grant)
        return mounts

    def _mount(self, fields: Fields) -> GrantSeen | None:
        grant = self._add("mount", text(fields, "at"), fields)
        if grant is None:
            return None
        layers = fields.get("layers")
        if isinstance(layers, (list, tuple)):
            grant.layers = tuple(texts({"layer": each}, "layer") for each in layers)
        grant.audited = ("audit",) in grant.layers
        self._mounts[grant.at] = grant
        return grant

    def _add(self, kind: What, at: str, fields: Fields) -> GrantSeen | None:
        """A further grant, in the list; None, and counted, where there is no room."""
        if len(self._all) >= MOST:
            self.beyond += 1
            return None
        said = {key: text(fields, key) for key in ("what", "mode", "mechanism", "reason", "origin", "id")}
        grant = GrantSeen(len(self._all), kind, at)
        vars(grant).update(said)
        self._all.append(grant)
        return grant

    def changed(self, fields: Fields) -> GrantSeen | None:
        """Take what a `grant` event says; gives the grant that is new, if one is."""
        action, at = text(fields, "action"), text(fields, "path") or text(fields, "address")
        if action in ("mount", "dial", "publish"):
            return self._made(action, at, fields)
        grant = self._network.get(text(fields, "id")) or self._mounts.get(at)
        id_ = text(fields, "id")
        if grant is None or (id_ and grant.id and grant.id != id_):
            return None
        if action == "narrow":
            grant.narrowed += 1
        elif action in ("revoke", "drop"):
            grant.ended = action
        return None

    def _made(self, action: str, at: str, fields: Fields) -> GrantSeen | None:
        kind: What = "mount" if action == "mount" else "dial" if action == "dial" else "listen"
        grant = self._add(kind, at, fields)
        if grant is None:
            return None
        grant.origin = grant.origin or _LATER
        if kind == "mount":
            self._mounts[at] = grant
        else:
            self._network[grant.id] = grant
        if kind == "listen":
            port = whole(fields, "port") or 0
            grant.at, grant.what = f"tcp!*!{port}", f"publish {at}"
            self._ports[("tcp", port)] = grant
        return grant

    def mounted(self, at: str) -> GrantSeen | None:
        """The mount at exactly this place."""
        return self._mounts.get(at)

    def covering(self, path: str) -> GrantSeen | None:
        """The mount that answers for a path: the one at it, or nearest above it, that was not taken away."""
        while True:
            grant = self._mounts.get(path)
            if grant is not None and not grant.ended:
                return grant
            if path in ("", "/"):
                return None
            path = path.rpartition("/")[0] or "/"

    def dialed(self, fields: Fields) -> GrantSeen | None:
        """The dial grant that an event names."""
        return self._network.get(text(fields, "grant"))

    def resolved(self, fields: Fields) -> None:
        """Take what a `name.resolved` event says."""
        grant, name = self.dialed(fields), text(fields, "name")
        if grant is None or (name not in grant.private and len(grant.private) >= _NAMES):
            return
        if left_out := texts(fields, "left_out"):
            grant.private[name] = left_out, not texts(fields, "found")
        else:
            grant.private.pop(name, None)

    def published(self, network: str, port: int) -> GrantSeen | None:
        """The grant that publishes a port."""
        return self._ports.get((network, port))

    def is_known(self, grant: GrantSeen, *, recorded: bool) -> bool:
        """Whether `used` is all use of it, by the rules above."""
        return grant.kind != "mount" or recorded or grant.audited
