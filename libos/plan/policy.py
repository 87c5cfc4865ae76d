"""Type enforcement: which domain a program runs in, and what that may do with each type. Pure.

Rules:
- A program is a file of the host that the world shows by a read-only mount of the kernel: the app cannot
  change it, and the kernel tells which process runs it. Any other is an error.
- What is not allowed is refused. A domain without programs is that of all programs in no other one; where
  there is none, those may use nothing that has a type.
- A mount without a type is not decided about.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from libos.errors import ManifestError
from libos.manifest.problems import Problem, at_origin, nearest
from libos.namespace import HostSource, Mode, Mount, Typed, is_at_or_below
from libos.plan.hostview import Kind
from libos.plan.lookup import find

if TYPE_CHECKING:
    from libos.manifest.model import Allow, Domain, Manifest
    from libos.namespace.table import Table
    from libos.plan.hostview import HostView
    from libos.plan.model import Plan


@dataclass(frozen=True)
class Program:
    """A program of a domain: the host's file that the world shows."""

    domain: str
    host_path: str


@dataclass(frozen=True)
class Policy:
    """The programs of all domains by the paths at which the world shows them, the domain of all others (""
    where none is declared), and what each domain may do with each type."""

    programs: Mapping[str, Program] = field(default_factory=dict)
    others: str = ""
    allowed: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    def refused(self, domain: str, kind: str, verbs: frozenset[str]) -> frozenset[str]:
        """Which of the things that a program of a domain wants to do with a type it may not."""
        return verbs - self.allowed.get((domain, kind), frozenset())


# The mounts of the host, and what each shows.
Shown = list[tuple[Mount, str]]


def type_of(mount: Mount) -> str | None:
    """The type of a mount."""
    return next((each.type for each in mount.layers if isinstance(each, Typed)), None)


def require_policy(plan: Plan, mount: Mount) -> None:
    """Raise ManifestError where a mount has a type in a world that was started without any."""
    if plan.policy is None and type_of(mount) is not None:
        raise ManifestError(f'"{mount.at}" has a type, and this world was started without domains')


def policy_of(
    manifest: Manifest,
    mounts: Iterable[Mount],
    table: Table,
    host: HostView,
    problems: list[Problem],
    serve_all: bool,
) -> Policy | None:
    """The policy of a manifest, whose `mounts` and `table` are those of the plan; None where it has neither
    types nor domains. What is wrong is added to `problems`."""
    types = {kind for mount in manifest.mounts if (kind := type_of(mount)) is not None}
    if not (types or manifest.domains or manifest.allows):
        return None
    shown = _shown(mounts, host)
    programs = _programs(manifest.domains, shown, table, host, problems, serve_all)
    problems.extend(_wrong_names(manifest.domains, manifest.allows, types))
    allowed: dict[tuple[str, str], frozenset[str]] = {}
    for rule in manifest.allows:
        key = (rule.domain, rule.type)
        allowed[key] = allowed.get(key, frozenset()) | frozenset(rule.to)
    others = next((each.name for each in manifest.domains if not each.programs), "")
    return Policy(programs, others, allowed)


def _programs(
    domains: Iterable[Domain],
    shown: Shown,
    table: Table,
    host: HostView,
    problems: list[Problem],
    serve_all: bool,
) -> dict[str, Program]:
    programs: dict[str, Program] = {}
    for domain in domains:
        place = domain.origin or domain.name
        for path in domain.programs:
            try:
                found = Program(domain.name, _file_of(path, table, host, shown, serve_all))
            except ValueError as wrong:
                problems.append(at_origin(place, str(wrong)))
                continue
            ways = _ways(found.host_path, shown)
            if any(way in programs for way in ways):
                problems.append(at_origin(place, f'"{path}" has a domain already'))
            programs |= dict.fromkeys(ways, found)
    return programs


def _shown(mounts: Iterable[Mount], host: HostView) -> Shown:
    """The mounts of the host, with what they show."""
    sources = ((mount, mount.source) for mount in mounts)
    return [
        (mount, host.resolve(source.path) or source.path)
        for mount, source in sources
        if isinstance(source, HostSource)
    ]


def _ways(file: str, shown: Shown) -> list[str]:
    """The paths at which the world may show a file of the host."""
    return [
        posixpath.normpath(posixpath.join(mount.at, posixpath.relpath(file, path)))
        for mount, path in shown
        if is_at_or_below(file, path)
    ]


def _file_of(path: str, table: Table, host: HostView, shown: Shown, serve_all: bool) -> str:
    """The host's file that is a program. ValueError where it can have no domain."""
    if serve_all:
        raise ValueError(
            "programs are known by the kernel's mounts, and here libos itself answers every file: "
            "leave out [[domain]], or record and --serve-all"
        )
    found = find(table, path, host)
    if found is None:
        raise ValueError(f'the program "{path}" is not in the namespace: mount it, or leave it out')
    file = None if found.host_path is None else host.resolve(found.host_path)
    if found.kind is not Kind.FILE or file is None:
        raise ValueError(f'"{path}" is no file of the host, so it has no domain')
    for mount, source in shown:
        if is_at_or_below(file, source) and (mount.mode is not Mode.READ_ONLY or mount.layers):
            raise ValueError(
                f'"{path}" is shown by the mount at "{mount.at}", which is not read-only or has layers: '
                "a program that has a domain stands in plain read-only mounts alone"
            )
    return file


def _wrong_names(
    domains: tuple[Domain, ...], allows: tuple[Allow, ...], types: set[str]
) -> Iterator[Problem]:
    names: set[str] = set()
    for domain in domains:
        if domain.name in names:
            yield at_origin(domain.origin or domain.name, f'a domain is named "{domain.name}" already')
        names.add(domain.name)
    for other in [each for each in domains if not each.programs][1:]:
        message = "another domain without programs has all others already: name its programs"
        yield at_origin(other.origin or other.name, message)
    for rule in allows:
        if rule.domain not in names:
            message = f'no domain is named "{rule.domain}"{nearest(rule.domain, names)}'
            yield at_origin(rule.origin or rule.domain, message)
        if rule.type not in types:
            message = f'no mount has the type "{rule.type}"{nearest(rule.type, types)}'
            yield at_origin(rule.origin or rule.type, message)
