"""Where a path of a namespace leads, before any world runs.

The walk follows symbolic links as the world would: an absolute link of the host leads to the same path in
the namespace, not on the host. What only running code knows (nodes, functions, /proc, /dev) counts as there.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from libos.namespace import (
    BoundSource,
    HostSource,
    MemorySource,
    Mount,
    Namespace,
    NodeSource,
    P9Source,
    Source,
    is_at_or_below,
)
from libos.namespace.errors import NamespaceError
from libos.namespace.table import (
    MADE_BY_INIT,
    Element,
    Elements,
    Look,
    Table,
    There,
    look_at_values,
)
from libos.plan.hostview import HostView, Kind

# The kernel's limit of links in one walk: path_resolution(7).
_LINK_LIMIT = 40


@dataclass(frozen=True)
class Found:
    """What stands at a path of the world.

    `path` is its real path there, `host_path` the file on the host that it shows, if it shows one; `kind` is
    None where only running code knows.
    """

    path: str
    kind: Kind | None
    host_path: str | None = None
    mount: Mount | None = None


def find(namespace: Namespace | Table, path: str, host: HostView) -> Found | None:
    """What stands at an absolute path, links followed; None when it is not in the namespace.

    No more than 40 links are followed, as path_resolution(7) has it: with more there is nothing to find.
    """
    table = namespace if isinstance(namespace, Table) else table_of(namespace, host)
    here, links = "/", 0
    names = [name for name in path.split("/") if name and name != "."]
    while names:
        name = names.pop(0)
        if name == "..":
            here = posixpath.dirname(here)
            continue
        step = posixpath.join(here, name)
        found = look(table, step, host)
        if found is None or (names and found.kind is Kind.FILE):
            return None
        if found.kind is not Kind.LINK:
            here = step
            continue
        links += 1
        if links > _LINK_LIMIT:
            return None
        target = host.link(found.host_path or "")
        here = "/" if target.startswith("/") else here
        names = [part for part in target.split("/") if part and part != "."] + names
    return look(table, here, host)


def table_of(namespace: Namespace, host: HostView) -> Table:
    """What stands where in a namespace that was lowered before."""
    table = Table(looking(host))
    for mount in namespace:
        try:
            table.mount(mount)
        except NamespaceError:
            continue  # the host is not what it was then
    return table


def looking(host: HostView) -> Look:
    """What a table asks of a host and of nodes."""

    def answer(source: Source, below: str) -> There:
        if isinstance(source, HostSource):
            return _look_on(host, source.path, below)
        if isinstance(source, NodeSource) and not below:
            from libos.fs.node import Directory  # a node is at hand, so the module is loaded

            return There.DIRECTORY if isinstance(source.node, Directory) else There.FILE
        return look_at_values(source, below)

    return answer


def _look_on(host: HostView, path: str, below: str) -> There:
    root = host.resolve(path)
    kind = None if root is None else host.kind(posixpath.join(root, below) if below else root)
    if kind is None:
        return There.ABSENT
    if kind is Kind.LINK:
        return There.UNKNOWN  # where it leads is the world's affair
    return There.DIRECTORY if kind is Kind.DIRECTORY else There.FILE


def look(table: Table, path: str, host: HostView) -> Found | None:
    """What stands at a path whose parents hold no links; a link at its end is not followed."""
    if any(is_at_or_below(path, made) for made in MADE_BY_INIT):
        return Found(path, Kind.DIRECTORY if path in MADE_BY_INIT else None)
    place = table.place_of(path)
    found = None if place is None else _look_in(table.places[place], place, path, host)
    if found is None and table.below(path):
        return Found(path, Kind.DIRECTORY)  # the way to a mount point
    return Found("/", Kind.DIRECTORY) if found is None and path == "/" else found


def _look_in(elements: Elements, place: str, path: str, host: HostView) -> Found | None:
    """What the first element that has the path's first name has at its end; what only running code knows is
    asked last."""
    if path == place:
        return _look_at(elements[0], path, "", host) if elements else None
    rest = posixpath.relpath(path, place)
    first = rest.partition("/")[0]
    seen = [(element, _look_at(element, path, first, host)) for element in elements]
    sure = [element for element, found in seen if found is not None and found.kind is not None]
    unsure = [element for element, found in seen if found is not None and found.kind is None]
    chosen = next(iter(sure + unsure), None)
    return None if chosen is None else _look_at(chosen, path, rest, host)


def _look_at(element: Element, path: str, rest: str, host: HostView) -> Found | None:
    source, mount = element.source, element.mount
    below = element.at_below(rest) if rest else element.below
    if isinstance(source, HostSource):
        root = host.resolve(source.path)
        if root is None:
            return None
        host_path = posixpath.join(root, below) if below else root
        kind = host.kind(host_path)
        return None if kind is None else Found(path, kind, host_path, mount)
    if isinstance(source, NodeSource):
        return Found(path, None, mount=mount)
    if isinstance(source, P9Source):
        return Found(path, None if below else Kind.DIRECTORY, mount=mount)
    if below:
        return None
    if isinstance(source, BoundSource):
        return Found(path, Kind.DIRECTORY)
    return Found(path, Kind.DIRECTORY if isinstance(source, MemorySource) else Kind.FILE, mount=mount)
