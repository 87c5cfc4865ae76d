"""The ways by which something can leave a world, from its plan. Pure.

Rules:
- A hole is what the app can use, knowingly, so that somebody other than who started it learns something: a
  file that it may write, an address, a port, a function that is called when it reads.
- What leads to whoever started it is listed and is no hole: its output, its exit status, its events.
- What the labels refuse is not in the plan, and so is none.
- What cannot be closed here is named: the list is not a proof that nothing leaks.

Norman Hardy and others: "Security in KeyKOS", 1986: a factory tells, before it is used, what a program that
it makes could send, and to whom.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from libos.holes.special import Special
from libos.namespace import (
    ChannelSource,
    FunctionSource,
    HostSource,
    Labelled,
    Mode,
    Mount,
    NodeSource,
    P9Source,
    ServiceSource,
    Source,
)
from libos.plan import Plan

# What no manifest closes, and what would narrow it.
COVERT = (
    "timing: how fast it answers, and when; a reader with a clock sees it",
    "the processor: its load, caches and frequency are felt by all on the machine; [limits] narrows the load",
    "memory, disks and tables of the kernel: what is full or slow for one is so for others",
    "locks and watches: a lock on a file of a host mount holds outside too, and inotify(7) tells of its uses",
)


@dataclass(frozen=True)
class Hole:
    """One way out: its kind, its name in the manifest, where it leads, and where it was asked for. `own` is
    what leads to whoever started it."""

    kind: str
    name: str
    leads: str
    origin: str = ""
    own: bool = False


def holes(plan: Plan, special: Iterable[Special] = ()) -> list[Hole]:
    """Every way out of the world of a plan; `special` are sockets and FIFOs found in what it mounts. Those
    that lead to whoever starts it come last."""
    found = [hole for mount in plan.namespace for hole in _of_mount(mount, plan)]
    found += [
        Hole("special", each.at, f"a {each.kind} of the host, {each.path}: whoever has its other end")
        for each in special
    ]
    found += [_dial(str(rule.to), rule.via_text, rule.origin) for rule in plan.dials]
    found += [
        Hole("listen", each.name, f"whoever connects to {each.published}", each.origin)
        for each in plan.listens
        if each.is_published
    ]
    return [*found, *_own(plan)]


def _dial(to: str, via: str, origin: str) -> Hole:
    return Hole("dial", to, f"by way of {via}" if via else "whoever answers there", origin)


def _of_mount(mount: Mount, plan: Plan) -> Iterator[Hole]:
    way = _of_host(mount, plan) if isinstance(mount.source, HostSource) else _of_source(mount.source)
    if way is not None:
        kind, leads = way
        yield Hole(kind, mount.at, leads, mount.origin)


def _of_host(mount: Mount, plan: Plan) -> tuple[str, str] | None:
    """Where what is written to a mount of the host leads, and what that is called."""
    assert isinstance(mount.source, HostSource)
    if mount.mode is Mode.READ_ONLY or not _label_lets(mount):
        return None
    if mount.mode is Mode.READ_WRITE:
        return "write", f"whoever can read {mount.source.path}"
    return None if plan.keep is None else ("keep", f'whoever reads the changes kept as "{plan.keep}"')


def _of_source(source: Source) -> tuple[str, str] | None:
    """Where using another source leads."""
    match source:
        case ChannelSource(path, descriptor=str()) if source.puttable and path is not None:
            return "descriptor", f"whoever can read {path}: {_rights(source)}"
        case ChannelSource(path, puts=puts, put_size=size) if puts and path is not None:
            return "channel", f"whoever can read {path}: {puts} puts, {size} bytes"
        case FunctionSource():
            return "function", "Python code outside, which is called at each open"
        case NodeSource():
            return "node", "Python code outside, which answers each use"
        case P9Source(to):
            return "p9", f"the file server at {to}, which hears of each use"
        case ServiceSource():
            return "service", f"whoever answers at {source}"
    return None


def _rights(source: ChannelSource) -> str:
    """The rights of a descriptor that is written to, in the words of its table."""
    write = ("write", "seek") if source.random_put else ("append",)
    return ", ".join((*(("read",) if source.gettable else ()), *write))


def _label_lets(mount: Mount) -> bool:
    """Whether the labels let the app write there."""
    return all(each.writes for each in mount.layers if isinstance(each, Labelled))


def _own(plan: Plan) -> Iterator[Hole]:
    yield Hole("output", "standard output and error", "whoever starts it", own=True)
    yield Hole("status", "exit status, and when it ends", "whoever starts it", own=True)
    yield Hole("events", "what it tries, by the events of it", "whoever reads them", own=True)
    if plan.network.capture is not None:
        yield Hole("capture", plan.network.capture, "whoever can read it", plan.network.origin, own=True)
