"""Merging manifests: the rules of `include` and of command-line options.

- A scalar that the upper one says replaces the lower one's.
- Tables merge key by key (`environment`).
- Lists append: the lower one's entries first. An entry that says exactly the same as one of the lower ones
  is kept once.
- A removal of the upper one takes out the lower one's entries of that name: a mount by its mount point, a
  dial by its address, a listen as `tcp!*!PORT`, a secret as `secret:NAME`, a domain as `domain:NAME`, a
  rule as `allow:DOMAIN:TYPE`.

`merge` is associative, and `Manifest()` is its neutral element: that is why removals are kept in the result
instead of being dropped once they were used. Conflicts are not decided here; `clashes` finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from types import MappingProxyType
from typing import TypeVar

from libos.manifest.limiting import merge_limits
from libos.manifest.model import App, Labels, Manifest, Network, Syscalls

T = TypeVar("T")
_NETWORK_KEYS = tuple(each.name for each in fields(Network) if each.compare)


def merge(under: Manifest, over: Manifest) -> Manifest:
    """`over` laid over `under`, by the rules above."""
    gone = frozenset(over.removals)
    return Manifest(
        app=_merge_app(under.app, over.app),
        mounts=_append(under.mounts, over.mounts, gone, lambda mount: mount.at),
        dials=_append(under.dials, over.dials, gone, lambda dial: dial.to),
        listens=_append(under.listens, over.listens, gone, lambda listen: listen.name),
        limits=merge_limits(under.limits, over.limits),
        network=_merge_network(under.network, over.network),
        syscalls=_merge_syscalls(under.syscalls, over.syscalls),
        secrets=_append(under.secrets, over.secrets, gone, lambda secret: f"secret:{secret.name}"),
        labels=_merge_labels(under.labels, over.labels),
        domains=_append(under.domains, over.domains, gone, lambda domain: f"domain:{domain.name}"),
        allows=_append(under.allows, over.allows, gone, lambda allow: f"allow:{allow.domain}:{allow.type}"),
        allow_missing=tuple(dict.fromkeys(under.allow_missing + over.allow_missing)),
        removals=tuple(dict.fromkeys(under.removals + over.removals)),
        in_order=under.in_order or over.in_order,
        source=over.source or under.source,
    )


def names(manifest: Manifest) -> list[str]:
    """Every name by which an entry of the manifest can be removed, in order."""
    return [
        *(mount.at for mount in manifest.mounts),
        *(dial.to for dial in manifest.dials),
        *(listen.name for listen in manifest.listens),
        *(f"secret:{secret.name}" for secret in manifest.secrets),
        *(f"domain:{domain.name}" for domain in manifest.domains),
        *(f"allow:{allow.domain}:{allow.type}" for allow in manifest.allows),
    ]


def clashes(entries: Iterable[T], place: Callable[[T], str]) -> list[tuple[T, T]]:
    """Pairs of entries at one place: the first there, and each later one."""
    first: dict[str, T] = {}
    found = []
    for entry in entries:
        earlier = first.setdefault(place(entry), entry)
        if earlier is not entry:
            found.append((earlier, entry))
    return found


def _append(
    under: tuple[T, ...], over: tuple[T, ...], gone: frozenset[str], name: Callable[[T], str]
) -> tuple[T, ...]:
    kept = [entry for entry in under if name(entry) not in gone]
    return (*kept, *(entry for entry in over if entry not in kept))


def _merge_app(under: App, over: App) -> App:
    return App(
        command=_first(over.command, under.command),
        directory=_first(over.directory, under.directory),
        environment=MappingProxyType({**under.environment, **over.environment}),
        hostname=_first(over.hostname, under.hostname),
        name=_first(over.name, under.name),
        introspect=_first(over.introspect, under.introspect),
        control=_first(over.control, under.control),
        keep=_first(over.keep, under.keep),
        record=_first(over.record, under.record),
        ambient=_first(over.ambient, under.ambient),
        user=_first(over.user, under.user),
        clearance=_first(over.clearance, under.clearance),
        level=_first(over.level, under.level),
    )


def _merge_labels(under: Labels, over: Labels) -> Labels:
    return Labels(
        levels=tuple(dict.fromkeys(under.levels + over.levels)),
        categories=tuple(dict.fromkeys(under.categories + over.categories)),
        origin=over.origin or under.origin,
    )


def _merge_network(under: Network, over: Network) -> Network:
    said = {key: _first(getattr(over, key), getattr(under, key)) for key in _NETWORK_KEYS}
    return Network(**said, origin=over.origin or under.origin)


def _merge_syscalls(under: Syscalls, over: Syscalls) -> Syscalls:
    return Syscalls(
        profile=_first(over.profile, under.profile),
        allow=tuple(dict.fromkeys(under.allow + over.allow)),
        deny=tuple(dict.fromkeys(under.deny + over.deny)),
        log=_first(over.log, under.log),
        origin=over.origin or under.origin,
    )


def _first(over: T | None, under: T | None) -> T | None:
    return under if over is None else over
