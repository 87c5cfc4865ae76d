"""Where a path of a namespace leads, before any world runs.

The walk follows symbolic links as the world would: an absolute link of the host leads to the same path in
the namespace, not on the host. What only running code knows (nodes, functions, /proc, /dev) counts as there.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from libos.namespace import HostSource, MemorySource, Mount, Namespace, NodeSource, is_at_or_below
from libos.plan.hostview import HostView, Kind

# The kernel's limit of links in one walk: path_resolution(7).
_LINK_LIMIT = 40

# Made by init in every world.
_INIT_MADE = ("/proc", "/dev")


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


def find(namespace: Namespace, path: str, host: HostView) -> Found | None:
    """What stands at an absolute path, links followed; None when it is not in the namespace.

    No more than 40 links are followed, as path_resolution(7) has it: with more there is nothing to find.
    """
    here, links = "/", 0
    names = [name for name in path.split("/") if name and name != "."]
    while names:
        name = names.pop(0)
        if name == "..":
            here = posixpath.dirname(here)
            continue
        step = posixpath.join(here, name)
        found = look(namespace, step, host)
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
    return look(namespace, here, host)


def look(namespace: Namespace, path: str, host: HostView) -> Found | None:
    """What stands at a path whose parents hold no links; a link at its end is not followed."""
    if any(is_at_or_below(path, made) for made in _INIT_MADE):
        return Found(path, Kind.DIRECTORY if path in _INIT_MADE else None)
    mount = namespace.covering(path)
    found = None if mount is None else _look_in(mount, path, host)
    if found is None and any(is_at_or_below(other.at, path) for other in namespace):
        return Found(path, Kind.DIRECTORY, mount=mount)  # the way to a mount point
    return Found("/", Kind.DIRECTORY) if found is None and path == "/" else found


def _look_in(mount: Mount, path: str, host: HostView) -> Found | None:
    source = mount.source
    if isinstance(source, HostSource):
        root = host.resolve(source.path)
        if root is None:
            return None
        host_path = root if path == mount.at else posixpath.join(root, posixpath.relpath(path, mount.at))
        kind = host.kind(host_path)
        return None if kind is None else Found(path, kind, host_path, mount)
    if isinstance(source, NodeSource):
        return Found(path, None, mount=mount)
    if path != mount.at:
        return None
    return Found(path, Kind.DIRECTORY if isinstance(source, MemorySource) else Kind.FILE, mount=mount)
