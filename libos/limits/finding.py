"""Which cgroup controllers this process can use, and where: cgroups(7), Kernel: admin-guide/cgroup-v2.rst.

Version 2 is taken where it has the controller and the place is ours to use:
- beside our own cgroup, where the one above is delegated to us and has the controller enabled;
- below our own, where that is delegated and either has it enabled or holds nobody but us, who then move one
  step down: a cgroup whose children are controlled holds no process;
- for root at the top of the tree, which has no such rule.
Version 1 is taken where the controller is mounted so, below our own cgroup, where we may write there.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from libos.limits.model import CONTROLLERS, Cgroups, Controller, Place

# The cgroup into which a process moves that must leave its own.
LEAF = "libos-supervisor"


@dataclass(frozen=True)
class Mount:
    """A mounted cgroup hierarchy: where, which part of it (its root), its version and controllers."""

    point: str
    root: str
    version: int
    controllers: frozenset[str]


def find(proc: str = "/proc/self") -> Cgroups:
    """Look at this process's cgroups. Never raises: what cannot be looked at cannot be used."""
    try:
        with open(f"{proc}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            mounts = parse_mounts(file)
        with open(f"{proc}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            own = parse_own(file)
    except OSError:
        return Cgroups()
    places = {controller: place for controller in CONTROLLERS if (place := _place(controller, mounts, own))}
    return Cgroups(tuple(places.items()), _why(mounts))


def parse_mounts(lines: Iterable[str]) -> list[Mount]:
    """The cgroup hierarchies of a mountinfo; proc_pid_mountinfo(5)."""
    found = []
    for line in lines:
        fields, _, rest = line.rstrip("\n").partition(" - ")
        kind, _, options = rest.partition(" ")
        if kind not in ("cgroup", "cgroup2"):
            continue
        root, point = fields.split(" ")[3:5]
        controllers = frozenset(options.rpartition(" ")[2].split(",")) if kind == "cgroup" else frozenset()
        found.append(Mount(point, root, 1 if kind == "cgroup" else 2, controllers))
    return found


def parse_own(lines: Iterable[str]) -> dict[str, str]:
    """Our cgroup a controller, and in version 2 under an empty name; proc_pid_cgroup(5)."""
    own = {}
    for line in lines:
        _, names, path = line.rstrip("\n").split(":", 2)
        own.update(dict.fromkeys(names.split(","), path))
    return own


def _place(controller: Controller, mounts: Iterable[Mount], own: dict[str, str]) -> Place | None:
    for mount in sorted(mounts, key=lambda mount: -mount.version):
        if mount.version == 2 and "" in own:
            place = _second(controller, mount, _below(mount, own[""]))
        elif controller in mount.controllers and controller in own:
            parent = _below(mount, own[controller])
            place = Place(1, parent) if os.access(parent, os.W_OK | os.X_OK) else None
        else:
            continue
        if place is not None:
            return place
    return None


def _second(controller: Controller, mount: Mount, own: str) -> Place | None:
    """A place in version 2."""
    above = posixpath.dirname(own)
    if own != mount.point and _ours(above) and controller in _words(above, "cgroup.subtree_control"):
        return Place(2, above)
    if _ours(own) and controller in _words(own, "cgroup.controllers"):
        if controller in _words(own, "cgroup.subtree_control"):
            return Place(2, own)
        if _top(own):
            return Place(2, own, enable=True)
        if _holds_only_us(own):
            return Place(2, own, enable=True, leave=True)
    if _ours(mount.point) and controller in _words(mount.point, "cgroup.controllers"):
        enabled = controller in _words(mount.point, "cgroup.subtree_control")
        if enabled or _top(mount.point):
            return Place(2, mount.point, enable=not enabled)
    return None


def _below(mount: Mount, path: str) -> str:
    """Where a cgroup stands below its mount, which may show a part of the hierarchy alone."""
    inner = posixpath.relpath(path, mount.root)
    return mount.point if inner.startswith("..") else posixpath.normpath(posixpath.join(mount.point, inner))


def _ours(folder: str) -> bool:
    """Whether we may make cgroups there and move processes through it."""
    return os.access(folder, os.W_OK | os.X_OK) and os.access(f"{folder}/cgroup.procs", os.W_OK)


def _top(folder: str) -> bool:
    """Whether this is the hierarchy's real root: it alone has no type."""
    return not os.path.exists(f"{folder}/cgroup.type")


def _words(folder: str, name: str) -> list[str]:
    try:
        with open(f"{folder}/{name}") as file:
            return file.read().split()
    except OSError:
        return []


def _holds_only_us(folder: str) -> bool:
    """Whether each process there is this one or was started by it, as under `systemd-run --scope`."""
    us = str(os.getpid())
    return all(pid == us or _started_by(pid, us) for pid in _words(folder, "cgroup.procs"))


def _started_by(pid: str, us: str) -> bool:
    while pid not in ("0", "1"):
        try:
            with open(f"/proc/{pid}/stat") as file:
                pid = file.read().rpartition(")")[2].split()[1]
        except OSError:
            return False
        if pid == us:
            return True
    return False


def _why(mounts: Iterable[Mount]) -> str:
    versions = sorted({mount.version for mount in mounts})
    if not versions:
        return "no cgroups are mounted here"
    kinds = " and ".join(f"v{version}" for version in versions)
    return f"no cgroup ({kinds} mounted here) is this user's to use"
