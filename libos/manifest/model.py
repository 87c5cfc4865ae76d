"""What a manifest says, as frozen values.

Rules: every value here was checked before it was built. None means "not said", so that merging can tell it
from a default; defaults are filled in when a manifest is lowered (`libos.plan`). `origin` fields say where
an entry was written and take no part in merging.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from libos.namespace import Mount, Namespace
from libos.syscalls.wanted import DEFAULT_PROFILE, Log, Wanted

if TYPE_CHECKING:
    from libos.net.http.rules import HttpRule


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True)
class App:
    """The program: what to run, where, with which environment, and how it is named."""

    command: tuple[str, ...] | None = None
    directory: str | None = None
    environment: Mapping[str, str] = field(default_factory=_nothing)
    hostname: str | None = None
    name: str | None = None
    introspect: bool | None = None
    control: bool | None = None
    keep: str | None = None
    record: bool | None = None
    ambient: bool | None = None
    user: str | None = None  # "app" or "root"
    clearance: str | None = None  # a label: the highest `level` that it may run at
    level: str | None = None  # the label that it runs at


@dataclass(frozen=True)
class Dial:
    """What the app may connect to, in the form of dial(2): "tcp!api.example.com!443", with patterns; see
    `libos.net.granting`. `rate` is in bytes a second each way, `sent` and `received` in bytes; None is
    without limit. `via` is another way outside: an address, a proxy, or from Python a function."""

    to: str
    deny: tuple[str, ...] = ()
    via: str | Callable[..., Any] | None = None
    private: bool = False
    connections: int | None = None
    sent: int | None = None
    received: int | None = None
    rate: int | None = None
    ask: bool = False
    ask_seconds: float | None = None
    http: tuple[HttpRule, ...] | None = None
    tls: bool | None = None
    ca: str | None = None
    http_request: Callable[..., Any] | None = None
    http_response: Callable[..., Any] | None = None
    label: str | None = None
    origin: str = field(default="", compare=False)


@dataclass(frozen=True)
class Secret:
    """A value that goes into `header` on the way to the dial grants `to`, and that the app never sees. It is
    the caller's environment variable, file, or what a command prints; the app has a placeholder in its
    variable `name`, and in the file `at`."""

    name: str
    header: str
    to: tuple[str, ...]
    environment: str | None = None
    file: str | None = None
    command: tuple[str, ...] | None = None
    at: str | None = None
    origin: str = field(default="", compare=False)

    @property
    def source(self) -> str:
        """Where its value comes from, as people say it."""
        if self.environment is not None:
            return f"the variable {self.environment}"
        if self.file is not None:
            return f"the file {self.file}"
        return f"the command {self.command[0]}" if self.command else "nothing"


@dataclass(frozen=True)
class Listen:
    """A port of the app that is reachable at `host`:`outside`, or at the unix socket `path`. An `outside` of
    0 is any free port; without host and path it is published nowhere, and the caller can wait until it
    listens. `proxy_protocol` tells the app who connects."""

    port: int
    host: str
    outside: int
    origin: str = field(default="", compare=False)
    network: str = "tcp"
    path: str | None = None
    proxy_protocol: bool = False
    label: str | None = None

    @property
    def is_published(self) -> bool:
        """Whether it is reachable from outside at all."""
        return bool(self.host) or self.path is not None

    @property
    def published(self) -> str:
        """The outside address as people write it: "127.0.0.1:8000", "[::1]:53/udp", "unix:/run/app.sock"."""
        if not self.is_published:
            return "nowhere"
        if self.path is not None:
            return f"unix:{self.path}"
        where = f"[{self.host}]:{self.outside}" if ":" in self.host else f"{self.host}:{self.outside}"
        return where if self.network == "tcp" else f"{where}/{self.network}"

    @property
    def name(self) -> str:
        """What removes this entry in an include list, after announce(2): "tcp!*!8000"."""
        return f"{self.network}!*!{self.port}"


@dataclass(frozen=True)
class Limits:
    """What the app may use up; None is not said. `time` and `cpu_time` are in seconds, `memory`, `file_size`,
    `disk` and `output` in bytes; `cpus` is processors' time, `cpuset` which of them ("0-3,5"); `children` is
    how many worlds may run below it; `latency` is "best-effort", "normal" or "priority"."""

    time: float | None = None
    memory: int | None = None
    processes: int | None = None
    cpus: float | None = None
    cpu_share: int | None = None
    cpuset: str | None = None
    cpu_time: float | None = None
    open_files: int | None = None
    file_size: int | None = None
    disk: int | None = None
    output: int | None = None
    children: int | None = None
    latency: str | None = None
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)  # who asked, by key


@dataclass(frozen=True)
class Syscalls:
    """Which system calls the app may make; see `libos.syscalls.Wanted`."""

    profile: str | None = None
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    log: Log | None = None
    origin: str = field(default="", compare=False)

    @property
    def wanted(self) -> Wanted:
        """The same, with what is not said filled in."""
        return Wanted(self.profile or DEFAULT_PROFILE, self.allow, self.deny, self.log or False)


@dataclass(frozen=True)
class Network:
    """How the world's network is made, and how it is to behave: `rate` in bytes a second each way, `delay`
    and `jitter` in seconds each way, `loss` as a share of the packets each way. What is carried is written to
    the file `capture`, at most `capture_limit` bytes of it. None is not said."""

    routed: bool | None = None
    rate: int | None = None
    delay: float | None = None
    jitter: float | None = None
    loss: float | None = None
    capture: str | None = None
    capture_limit: int | None = None
    origin: str = field(default="", compare=False)


@dataclass(frozen=True)
class Labels:
    """The levels and categories that labels are made of. Each list of levels has the lowest first; several
    included ones must have one order together."""

    levels: tuple[tuple[str, ...], ...] = ()
    categories: tuple[str, ...] = ()
    origin: str = field(default="", compare=False)


@dataclass(frozen=True)
class Domain:
    """What processes are, by the program that they run: a file, by its path in the world. One without
    programs is that of all others."""

    name: str
    programs: tuple[str, ...] = ()
    origin: str = field(default="", compare=False)


@dataclass(frozen=True)
class Allow:
    """What a domain may do with what is of a type: "read", "write", "create", "remove", "execute"."""

    domain: str
    type: str
    to: tuple[str, ...]
    origin: str = field(default="", compare=False)


@dataclass(frozen=True)
class Manifest:
    """One manifest with all that it includes. `source` names it in messages."""

    app: App = App()
    mounts: tuple[Mount, ...] = ()
    dials: tuple[Dial, ...] = ()
    listens: tuple[Listen, ...] = ()
    limits: Limits = Limits()
    network: Network = Network()
    syscalls: Syscalls = Syscalls()
    secrets: tuple[Secret, ...] = ()
    labels: Labels = Labels()
    domains: tuple[Domain, ...] = ()
    allows: tuple[Allow, ...] = ()
    allow_missing: tuple[str, ...] = ()  # what the host may lack, as "limits.memory"
    removals: tuple[str, ...] = ()
    in_order: bool = False  # the mounts are applied as they are listed, and not parents first
    source: str = field(default="", compare=False)

    def namespace(self) -> Namespace:
        """The mounts in the order in which they are applied: parents first, unless they have an order."""
        return Namespace(self.mounts) if self.in_order else Namespace.ordered(self.mounts)

    def over(self, under: Manifest) -> Manifest:
        """This manifest laid over another; see `libos.manifest.merge`."""
        from libos.manifest.merge import merge

        return merge(under, self)
