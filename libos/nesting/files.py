"""Which mounts of a world may be mounted in one below it. Pure.

Rules:
- What a manifest itself says (texts, bytes), memory, and what the supervisor writes into every world are
  nobody's to hand on. Of everything else the world above holds the same, or it is refused.
- A directory of the host is handed on by the mount that shows it there, by its path without links: whole, or
  a part of it. What another mount covers, there or inside of it, is not shown, and is not handed on.
- No wider: read-write only of what is read-write; the layers of the mount come first, and then only of the
  whole; a copy is one of the host's files, not of what was changed above.
- Where root serves worlds, the owner of a mount's top decides whose files are the app's. So a part is a bind
  of a bind, whose owners are compared once it is mounted (`libos.nesting.starting`).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from libos.namespace import (
    BoundSource,
    BytesSource,
    ChannelSource,
    Counted,
    FunctionSource,
    HostSource,
    MemorySource,
    Mode,
    Mount,
    Order,
    Quota,
    ServiceSource,
    TextSource,
    WorldSource,
    is_at_or_below,
)
from libos.nesting.holding import Held, Holding

# What a manifest can be let in with. What answers by itself (nodes, other servers) knows no mode: whatever
# was taken from it lies in the layers of the one grant.
_HANDED_ON = (HostSource, FunctionSource, ServiceSource)
# What holds nothing of anybody's.
_OWN = (TextSource, BytesSource, MemorySource, WorldSource, BoundSource)


def matched(wanted: Sequence[Held], above: Holding) -> tuple[list[tuple[Held, Held]], list[str]]:
    """Each mount that needs one of the world above, with it; and for each that has none, why."""
    pairs, problems = [], []
    for each in wanted:
        if isinstance(each.mount.source, _OWN):
            continue
        found = _found(each, wanted, above)
        if isinstance(found, str):
            problems.append(f'"{each.mount.at}" {found}')
        else:
            pairs.append((each, found))
    return pairs, problems


def _found(wanted: Held, beside: Sequence[Held], above: Holding) -> Held | str:
    """The mount of the world above that covers one; or why none does."""
    mount = wanted.mount
    if mount.order is not Order.REPLACE or sum(each.mount.at == mount.at for each in beside) > 1:
        return "is an element of a union: mount what it shows apart"
    if isinstance(mount.source, ChannelSource):
        return "is a channel: what may pass through it belongs to one world"
    if not isinstance(mount.source, _HANDED_ON):
        return "decides itself what may be written: start without it, and mount the other's grant of it then"
    reasons = []
    for held in reversed(above.mounts):
        place = _place(wanted, held)
        if place is None:
            continue
        reason = next(_narrower(wanted, held, place, above), None)
        if reason is None:
            return held
        reasons.append(reason)
    if reasons:
        return reasons[0]
    what = f'"{wanted.path}"' if isinstance(mount.source, HostSource) else "it"
    return f'is not held by "{above.name}": mount {what} there first'


def _place(wanted: Held, held: Held) -> str | None:
    """Where the world above shows what is wanted by a mount of it; None where that shows something else."""
    if isinstance(wanted.mount.source, HostSource):
        if wanted.path is None or held.path is None or not is_at_or_below(wanted.path, held.path):
            return None
        below = posixpath.relpath(wanted.path, held.path)
        return posixpath.normpath(posixpath.join(held.mount.at, below))
    return held.mount.at if held.mount.source == wanted.mount.source else None


def _narrower(wanted: Held, held: Held, place: str, above: Holding) -> Iterator[str]:
    """Why a mount that shows what is wanted does not give it; nothing where it does."""
    mount, there = wanted.mount, held.mount
    whole = place == there.at
    if held.grant is None or sum(each.mount.at == there.at for each in above.mounts) > 1:
        yield f'stands in a union in "{above.name}", which is not handed on'
    covering = [each for each in above.mounts if is_at_or_below(place, each.mount.at)][-1]
    if covering is not held:
        yield f'is covered by "{covering.mount.at}" in "{above.name}"'
    for each in above.mounts:
        if each.mount.at != place and is_at_or_below(each.mount.at, place):
            yield f'has "{each.mount.at}" mounted inside of it in "{above.name}": mount the parts apart'
    if mount.mode is Mode.READ_WRITE and there.mode is not Mode.READ_WRITE:
        yield f'is {there.mode.value} in "{above.name}"'
    if mount.replaceable and not there.replaceable:
        yield f'may not be replaced in "{above.name}"'
    yield from _layers(mount, there, whole=whole, name=above.name)
    if above.root and isinstance(mount.source, HostSource) and not (wanted.bound and held.bound):
        if not whole:
            yield f'is a part of "{there.at}" in "{above.name}": root\'s worlds take it as a plain mount'
        if any(_can_exchange(each, held) for each in above.mounts):
            yield f'stands on a path that "{above.name}" can change: root\'s worlds take it as a plain mount'


def _layers(mount: Mount, there: Mount, *, whole: bool, name: str) -> Iterator[str]:
    if not there.layers:
        return
    if any(isinstance(layer, Counted | Quota) for layer in there.layers):
        yield f'is counted in "{name}", and what is left cannot be had twice'
    if not whole or mount.layers[: len(there.layers)] != there.layers:
        yield f'has layers in "{name}", as hidden names: mount the whole, with the same ones first'


def _can_exchange(other: Held, held: Held) -> bool:
    """Whether what can be written by one mount holds the directory that another one shows."""
    if other.path is None or held.path is None or other.mount.mode is not Mode.READ_WRITE:
        return False
    return other.path != held.path and is_at_or_below(held.path, other.path)
