"""A plan: a manifest lowered to mechanisms, as data.

Rules and invariants:
- `steps` are applied in order; each one's mount point exists when its turn comes: in the skeleton (then it
  stands in `points`), in what an earlier step mounted, or, with `make_point`, once the applier has made it
  there (an empty file or a directory, parents too). Only mounts that end with the world get `make_point`.
- A `Served` without a `slot` is attached to the skeleton at its path. With a slot it stands below another
  mount, where the skeleton cannot be seen: it is attached by itself, and the `BindServed` step of that slot
  mounts it over.
- No two entries have the same `at`. `/proc` and `/dev` are made by init after the steps.
- `noexec` is the kernel's attribute of a mount: nothing of it is executed, and nothing mapped as code.
- A plan holds no descriptors and can be compared and printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from libos.limits.model import NO_LIMITS, Decision
from libos.namespace import HostSource, Layer, Namespace, Source
from libos.syscalls import DEFAULT, Wanted

if TYPE_CHECKING:
    from libos.manifest.model import Limits, Listen, Network, Secret
    from libos.net.granting.rule import Rule
    from libos.plan.labelling import Labelling
    from libos.plan.policy import Policy


@dataclass(frozen=True)
class Bind:
    """A file or directory of the host, bound. `source` has no symbolic links in it."""

    at: str
    source: str
    read_only: bool
    directory: bool
    make_point: bool = False
    noexec: bool = False


@dataclass(frozen=True)
class Overlay:
    """A directory of the host under an overlay. The upper layer is in memory and ends with the world, or,
    where it is kept, in the folder `changes`."""

    at: str
    lower: str
    make_point: bool = False
    changes: str | None = None
    noexec: bool = False
    size: int | None = None  # of an upper layer in memory; None for the kernel's default, half of all memory


@dataclass(frozen=True)
class Tmpfs:
    """An empty directory in memory that belongs to the app. `size` in bytes, None for the kernel's default;
    `mode` has the permission bits of its root."""

    at: str
    size: int | None
    mode: int
    make_point: bool = False
    noexec: bool = False


@dataclass(frozen=True)
class BindService:
    """The file of a unix socket whose listener the gate has: a service."""

    at: str
    make_point: bool = False
    noexec: bool = False


@dataclass(frozen=True)
class BindServed:
    """A served node that stands below another mount, bound from its own attachment."""

    at: str
    slot: int
    directory: bool | None  # None: only the node knows
    make_point: bool = False
    noexec: bool = False


@dataclass(frozen=True)
class Rebind:
    """What the root that is being built shows at `path`, with all that is mounted below it, a second time.
    `path` has no symbolic links in it. What could not be executed there cannot be here."""

    at: str
    path: str
    read_only: bool
    directory: bool
    make_point: bool = False


Step = Bind | Overlay | Tmpfs | BindService | BindServed | Rebind


@dataclass(frozen=True)
class Served:
    """What the file server answers. `copy_on_write` only for a host directory: its changes stay in memory, or
    in the folder `changes`."""

    at: str
    source: Source
    writable: bool = False
    copy_on_write: bool = False
    layers: tuple[Layer, ...] = ()
    slot: int | None = None
    changes: str | None = None
    elements: tuple[Part, ...] = ()  # of a union, in order; the source then is this place itself
    share: int | None = None  # all that have one number are served by one node
    replaceable: bool = False  # a file of the host, in a directory of the skeleton
    revocable: bool = False  # layers can be laid over it while it is served


@dataclass(frozen=True)
class Part:
    """One element of a served union: a directory below what is served, read-only, with layers over it."""

    served: Served
    below: str = ""
    creatable: bool = False
    read_only: bool = False
    over: tuple[Layer, ...] = ()


@dataclass(frozen=True)
class Line:
    """One line of `libos explain`: what was asked, how it is given, why, and where it was asked for."""

    at: str
    asked: str
    mechanism: str
    reason: str
    origin: str


@dataclass(frozen=True)
class Plan:
    """Everything that starting a world needs. `time` is in seconds, None for no limit."""

    namespace: Namespace
    steps: tuple[Step, ...]
    served: tuple[Served, ...]
    points: tuple[tuple[str, bool], ...]  # (path, is a directory): what the skeleton shows for steps and init
    dials: tuple[Rule, ...]
    listens: tuple[Listen, ...]
    network: Network
    routed: bool  # the gate has a network namespace of its own, joined by a link
    command: tuple[str, ...]
    directory: str
    environment: Mapping[str, str]
    hostname: str
    name: str | None
    time: float | None
    lines: tuple[Line, ...]
    secrets: tuple[Secret, ...] = ()  # where their values are, never these
    serve_all: bool = False
    record: bool = False  # each use of a path is told; all that can be is served
    limits: Decision = NO_LIMITS  # how what it may use up is held
    asked: Limits | None = None  # what was asked for of it
    within: str | None = None  # the world below which it is one
    allow_missing: tuple[str, ...] = ()  # what the host may lack
    keep: str | None = None  # the name under which changes to copy-on-write mounts outlive the run
    syscalls: Wanted = DEFAULT
    root: bool = False  # the app is uid 0 inside
    labelling: Labelling | None = None  # what labels let it do, where its manifest has [labels]
    policy: Policy | None = None  # what programs may do with types, where it has any
    vets: bool = False  # some mount has files that are executed only when they pass: all else is noexec
    ambient: bool = True  # False: the program can give up all names, and has no network
    source: str = field(default="", compare=False)  # what it was made from, as messages name it

    @property
    def hears(self) -> bool:
        """Whether init tells of listen(2): somebody waits for a port, or all that is used is told."""
        return bool(self.listens) or self.record

    @property
    def copied(self) -> tuple[tuple[str, str], ...]:
        """The copy-on-write mounts: where each stands, and the host's directory."""
        lowered = ((step.at, step.lower) for step in self.steps if isinstance(step, Overlay))
        served = (
            (each.at, each.source.path)
            for each in self.served
            if each.copy_on_write and isinstance(each.source, HostSource)
        )
        return (*lowered, *served)

    @property
    def descriptors(self) -> tuple[tuple[str, str, int], ...]:
        """What the first program has open when it starts: the name, the path, the flags of open(2)."""
        from libos.plan.descriptors import descriptors

        return tuple(descriptors(self))

    def keeping(self, name: str) -> Plan:
        """This plan, its changes kept under a name. ManifestError for a wrong name, or nothing to keep."""
        from libos.plan.keeping import keeping

        return keeping(self, name)

    def json(self) -> dict[str, Any]:
        """The plan as JSON values, version 1, for `libos explain --json`; see `libos.plan.json_form`."""
        from libos.plan.json_form import plan_json

        return plan_json(self)
