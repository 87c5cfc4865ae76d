"""What a mount with `exec` makes of the whole world, so that nothing goes past the check. Pure.

Rules:
- Such a mount is a read-only tree of the host, served: the kernel's own mounts ask nobody.
- What the app can write cannot be executed, nor can what is served besides: these mounts are noexec. The
  other read-only mounts of the host are as the caller mounted them, and stay executable.
- A file without a name (memfd_create(2)) has no mount, so there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from libos.manifest.problems import Problem, at_origin
from libos.namespace import HostSource, Layer, Mode, Mount, Order, Vetted, is_at_or_below
from libos.plan.hostview import HostView, Kind
from libos.plan.model import Bind, BindServed, Line, Rebind, Served, Step
from libos.syscalls import Wanted

_NAMELESS = "memfd_create"


def vetting(layers: Iterable[Layer]) -> Vetted | None:
    """What the layers of a mount ask of what is executed."""
    return next((each for each in layers if isinstance(each, Vetted)), None)


def runs(mount: Mount) -> bool:
    """Whether files of a mount can be executed at all, in a world that vets."""
    return isinstance(mount.source, HostSource) and mount.mode is Mode.READ_ONLY


def not_vetted(mount: Mount, host: HostView) -> str | None:
    """Why a mount cannot have `exec`, if it cannot."""
    asked = vetting(mount.layers)
    if asked is None:
        return None
    if not runs(mount) or mount.order is not Order.REPLACE:
        return "exec is for a read-only file or folder of the host, by itself: what can change is not checked"
    if asked == Vetted():
        return "exec says nothing: write sha256, signed or elf"
    if asked.signed is None:
        return None
    assert isinstance(mount.source, HostSource)
    if host.kind(asked.signed) is not Kind.FILE:
        return f'the host has no key "{asked.signed}": write the path of a public key, in PEM'
    if host.kind(f"{mount.source.path}/root") is not Kind.DIRECTORY:
        return f'"{mount.source.path}" has no root/, so it is not sealed: mount what libos.slots.seal sealed'
    return None


def closed(steps: Iterable[Step], served: Iterable[Served]) -> tuple[Step, ...]:
    """The steps of a world that vets: what cannot be executed is noexec."""
    by_slot = {each.slot: each for each in served if each.slot is not None}
    return tuple(_closed(step, by_slot) for step in steps)


def _closed(step: Step, by_slot: dict[int, Served]) -> Step:
    match step:
        case Rebind():
            return step
        case Bind(read_only=True):
            return step
        case BindServed(slot=slot) if _runs(by_slot[slot]):
            return step
    return replace(step, noexec=True)


def _runs(served: Served) -> bool:
    return isinstance(served.source, HostSource) and not served.writable and not served.elements


def calls(wanted: Wanted) -> Wanted:
    """The calls of a world that vets."""
    return wanted if _NAMELESS in wanted.deny else replace(wanted, deny=(*wanted.deny, _NAMELESS))


def way_round(mounts: Iterable[Mount], host: HostView) -> Iterator[Problem]:
    """Folders that the app may both write, in one mount, and execute, in another."""
    shown = [
        (mount, host.resolve(mount.source.path) or mount.source.path)
        for mount in mounts
        if isinstance(mount.source, HostSource)
    ]
    yield from both_ways(shown, shown)


def both_ways(writes: Iterable[tuple[Mount, str]], shown: Iterable[tuple[Mount, str]]) -> Iterator[Problem]:
    """What can be written by one of some mounts and executed by another one; each with the host's path
    that it shows."""
    shown = tuple(shown)
    for mount, path in writes:
        for other, inner in shown:
            executes = runs(other) and vetting(other.layers) is None
            if mount.mode is Mode.READ_WRITE and executes and _overlap(path, inner):
                message = (
                    f'what the app writes at "{mount.at}" it could execute at "{other.at}", past all checks: '
                    "mount them apart, or one of them copy-on-write"
                )
                yield at_origin(mount.origin or mount.at, message)


def vetting_lines(mounts: Iterable[Mount]) -> list[Line]:
    """What is executed in a world that vets, for `libos explain`."""
    vetted = [mount for mount in mounts if vetting(mount.layers)]
    if not vetted:
        return []
    asked = f"checked at {', '.join(mount.at for mount in vetted)}"
    reason = f"what can be written, and what is served besides, cannot be executed; {_NAMELESS} is refused"
    return [Line("execution", asked, "noexec", reason, vetted[0].origin)]


def _overlap(path: str, other: str) -> bool:
    return is_at_or_below(path, other) or is_at_or_below(other, path)
