"""Lowering: for each mount the cheapest mechanism that gives exactly the asked view, with the reason.

Pure: all questions about the host go to a `HostView`. The rules, in the order of their cost:

| asked for                              | lowered to                                         |
|----------------------------------------|----------------------------------------------------|
| host file or directory, ro or rw       | bind mount                                         |
| host directory, copy-on-write          | overlay, upper layer in memory                     |
| an image                               | as a host directory: the tree that it unpacks to   |
| memory                                 | tmpfs                                              |
| text, bytes, node, function, channel   | served                                             |
| a file server's tree, by 9P            | served                                             |
| service                                | a unix socket that the gate accepts on             |
| what the namespace shows elsewhere     | a bind of it by init, inside the world             |
| a union                                | served                                             |
| anything, with `serve_all`             | served                                             |

Where a mount below another one finds its mount point is told in `libos.plan.points`.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace

from libos.images.errors import ImageError
from libos.manifest.model import Manifest
from libos.manifest.problems import Problem, error
from libos.namespace import (
    BoundSource,
    HostSource,
    ImageSource,
    MemorySource,
    Mode,
    Mount,
    Namespace,
    NodeSource,
    P9Source,
    ServiceSource,
    WorldSource,
)
from libos.namespace.table import Elements, There
from libos.plan.channels import not_a_channel
from libos.plan.descriptors import ambient_problems, enter_mounts
from libos.plan.hostview import Host, HostView, Kind
from libos.plan.introspection import introspection_mounts
from libos.plan.joining import Joining, is_union
from libos.plan.keeping import NOTHING_TO_KEEP, lost_in_union
from libos.plan.labelling import labelling_of
from libos.plan.limiting import decided, limit_lines, sized
from libos.plan.lines import INIT_LINES, network_lines, why_served, why_service
from libos.plan.lookup import find
from libos.plan.memory import memory_mode
from libos.plan.model import Bind, BindServed, BindService, Overlay, Plan, Served, Step, Tmpfs
from libos.plan.network import network_problems, rules, why_routed
from libos.plan.points import Placed, point_below
from libos.plan.policy import policy_of
from libos.plan.replacing import not_replaceable
from libos.plan.syscalls import syscall_problems, syscalls_line, wanted_calls
from libos.plan.vetting import calls, closed, not_vetted, runs, vetting, vetting_lines, way_round
from libos.plan.web import web_environment, web_mounts

# What the supervisor writes into every world unless the manifest mounts something there.
_WORLD_FILES = (
    Mount("/etc/hosts", WorldSource("hosts"), origin="libos"),
    Mount("/etc/resolv.conf", WorldSource("resolv.conf"), origin="libos"),
)

# Used where neither the manifest nor what it includes says a host name.
DEFAULT_HOSTNAME = "libos"


def lower(manifest: Manifest | Namespace, host: HostView | None = None, *, serve_all: bool = False) -> Plan:
    """The plan for a manifest on a host (this one unless given).

    Optional mounts whose source is absent are left out, with a line. ManifestError with every error found:
    sources that are absent or neither file nor directory, mount points that do not exist, a working directory
    that is not in the namespace, a published port that is dialed too.
    """
    if isinstance(manifest, Namespace):
        manifest = Manifest(mounts=manifest.mounts, in_order=True, source="namespace")
    recorded = bool(manifest.app.record)
    lowering = Lowering(host if host is not None else Host(), serve_all or recorded, manifest.app.keep)
    lowering.why_all = "its uses are recorded" if recorded else "lowering is off (--serve-all)"
    labelling, whole = labelling_of(manifest, lowering.host, lowering.problems), manifest
    if labelling is not None:
        manifest = labelling.applied(manifest, lowering.lines)
    own = manifest.namespace()
    mounts = (*own, *_world_files(own, manifest, lowering.host))
    lowering.vets = any(vetting(mount.layers) for mount in mounts)
    for mount in mounts if manifest.in_order else Namespace.ordered(mounts):
        lowering.place(mount)
    directory = manifest.app.directory or "/"
    lowering.check_directory(directory, manifest.source)
    placed, table, problems = lowering.mounts, lowering.table, lowering.problems
    policy = policy_of(manifest, placed, table, lowering.host, problems, lowering.serve_all)
    lowering.problems.extend(network_problems(whole))
    lowering.problems.extend(syscall_problems(manifest))
    lowering.problems.extend(ambient_problems(manifest))
    if lowering.vets:
        lowering.problems.extend(way_round(placed, lowering.host))
    lowering.check_keep(manifest)
    if lowering.problems:
        raise error(lowering.problems)
    return replace(lowering.plan(manifest, directory), labelling=labelling, policy=policy)


def _world_files(own: Namespace, manifest: Manifest, host: HostView) -> list[Mount]:
    taken = {mount.at for mount in own}
    wanted = (
        *_WORLD_FILES,
        *introspection_mounts(manifest),
        *enter_mounts(manifest),
        *web_mounts(manifest, host),
    )
    return [mount for mount in wanted if mount.at not in taken]


class Lowering(Joining):
    """One lowering: what has been placed so far and the problems met."""

    def __init__(self, host: HostView, serve_all: bool, keep: str | None = None) -> None:
        super().__init__(host)
        self.keep = keep
        self.serve_all = serve_all
        self.why_all = ""
        self.vets = False

    def place(self, mount: Mount) -> None:
        """Give one mount its mechanism, or note why it has none."""
        if isinstance(mount.source, ImageSource):
            try:
                mount = replace(mount, source=self._unpacked(mount.source))
            except ImageError as error:
                self.problem(mount, str(error))
                return
        source = self._host_source(mount)
        if isinstance(mount.source, HostSource) and source is None:
            return
        if why := not_a_channel(mount, self.host):
            self.problem(mount, why)
            return
        if why := not_vetted(mount, self.host):
            self.problem(mount, why)
            return
        mount = self.followed(mount)
        elements = self.enter(mount)
        if elements is None:
            return
        self.mounts.append(mount)
        if is_union(mount, elements):
            self.place_union(mount, elements)
            return
        directory = self._is_directory(mount, source, elements)
        parent = self.parent(mount.at)
        make_point = False
        if parent is not None:
            point = point_below(parent, mount, directory, self.host)
            if isinstance(point, str):
                self.refuse(mount, point)
                return
            make_point = point
        steps, served = len(self.steps), len(self.served)
        self._lower(mount, source, directory, below=parent is not None, make_point=make_point)
        self.cover(mount.at)
        self.placed.append(
            Placed(
                mount,
                directory,
                source,
                elements[0].number,
                self.rebinds,
                stepped=len(self.steps) > steps,
                served=len(self.served) > served,
            )
        )

    def _unpacked(self, source: ImageSource) -> HostSource:
        shown = source.reference if source.path == "/" else f"{source.reference} at {source.path}"
        return HostSource(self.host.image(source.reference, source.path), shown)

    def _is_of_image(self, mount: Mount) -> bool:
        return isinstance(mount.source, HostSource) and bool(mount.source.image)

    def _host_source(self, mount: Mount) -> str | None:
        """The host path without links; None when the mount cannot be made, which is then noted."""
        if not isinstance(mount.source, HostSource):
            return None
        path = mount.source.path
        source = self.host.resolve(path)
        if source is None:
            if mount.optional:
                self.line(mount, "left out", f"optional, and the host has no {path}")
            else:
                self.problem(mount, f'the host has no "{path}": make it, or correct the path')
            return None
        kind = self.host.kind(source)
        if kind not in (Kind.FILE, Kind.DIRECTORY):
            self.problem(mount, f'"{path}" is neither a file nor a directory: only these can be mounted')
            return None
        if kind is Kind.FILE and mount.mode is Mode.COPY_ON_WRITE:
            self.problem(
                mount,
                f'"{path}" is a file, and copy-on-write takes a directory: '
                f'mount the folder "{posixpath.dirname(path)}", or this file read-only',
            )
            return None
        if mount.mode is Mode.COPY_ON_WRITE and (inner := self.host.mounts_below(source)):
            # overlayfs takes its lower layer without the mounts below it, and in a user namespace not at all.
            self.problem(
                mount,
                f'the host mounts "{inner[0]}" below "{path}", and copy-on-write cannot reach over it: '
                f'choose a directory without a mount in it, or mount "{path}" read-only',
            )
            return None
        return source

    def _is_directory(self, mount: Mount, source: str | None, elements: Elements) -> bool | None:
        if source is not None:
            return self.host.kind(source) is Kind.DIRECTORY
        if isinstance(mount.source, BoundSource):
            kind = self.table.kind(elements)
            return None if kind is There.UNKNOWN else kind is There.DIRECTORY
        if isinstance(mount.source, NodeSource):
            from libos.fs.node import Directory  # a node is at hand, so the module is loaded

            return isinstance(mount.source.node, Directory)
        return isinstance(mount.source, MemorySource | P9Source)

    def _lower(
        self, mount: Mount, source: str | None, directory: bool | None, *, below: bool, make_point: bool
    ) -> None:
        step: Step
        at = mount.at
        if isinstance(mount.source, BoundSource):
            self.rebind(mount, mount.source.path, directory, below=below, make_point=make_point)
            return
        if isinstance(mount.source, ServiceSource):
            self._offer(mount, below=below, make_point=make_point)
            return
        if mount.replaceable and (why := not_replaceable(mount, directory, below=below)):
            self.problem(mount, why)
            return
        lowered = not (self.serve_all or mount.layers or mount.revocable or mount.replaceable)
        if isinstance(mount.source, MemorySource) and lowered:
            step = Tmpfs(at, mount.source.size, memory_mode(at), make_point)
            self.line(mount, "tmpfs", "empty and writable, in memory; ends with the world")
        elif source is not None and lowered and mount.mode is Mode.COPY_ON_WRITE:
            step = Overlay(at, source, make_point)
            ending = "end with the world" if self.keep is None else f'are kept as "{self.keep}"'
            whose = "the image's layers" if self._is_of_image(mount) else "the host's files"
            self.line(mount, "overlay", f"{whose} stay as they are; changes {ending}")
        elif source is not None and lowered:
            step = Bind(at, source, mount.mode is Mode.READ_ONLY, bool(directory), make_point)
            same = (
                "the tree that it unpacks to" if self._is_of_image(mount) else "the same view as on the host"
            )
            self.line(mount, "bind", f"{same}, at the kernel's speed")
        else:
            self._serve(mount, source, directory, below=below, make_point=make_point)
            return
        self.steps.append(step)
        if not below:
            self.points.append((at, bool(directory)))

    def _offer(self, mount: Mount, *, below: bool, make_point: bool) -> None:
        assert isinstance(mount.source, ServiceSource)
        if mount.layers or mount.revocable or mount.replaceable:
            self.problem(mount, f'"{mount.at}" is a service: layers are laid over files alone')
            return
        self.line(mount, "socket", why_service(mount.source))
        self.steps.append(BindService(mount.at, make_point))
        if not below:
            self.points.append((mount.at, False))

    def _serve(
        self, mount: Mount, source: str | None, directory: bool | None, *, below: bool, make_point: bool
    ) -> None:
        served = Served(
            mount.at,
            mount.source if source is None else HostSource(source),
            writable=mount.mode is not Mode.READ_ONLY,
            copy_on_write=mount.mode is Mode.COPY_ON_WRITE,
            layers=mount.layers,
            replaceable=mount.replaceable,
            revocable=mount.revocable,
        )
        # In a world that vets, a mount of its own, which can be executed where the skeleton cannot.
        over = self.stands_at_or_below(mount.at) or (self.vets and runs(mount))
        if over and not below:
            self.points.append((mount.at, bool(directory)))
        if below or over:
            served = replace(served, slot=self.new_slot())
            self.steps.append(BindServed(mount.at, served.slot or 0, directory, make_point))
        self.served.append(served)
        reason = why_served(mount)
        if self.serve_all and not mount.layers and isinstance(mount.source, (HostSource, MemorySource)):
            reason = self.why_all
        self.line(mount, "served", reason)

    def check_directory(self, directory: str, source: str) -> None:
        """The app's working directory must be in the namespace."""
        found = find(self.table, directory, self.host)
        if found is None or found.kind not in (Kind.DIRECTORY, None):
            message = f'the directory "{directory}" is not in the namespace: mount something there'
            if found is not None:
                message = f'"{directory}" is not a directory: the app starts in one'
            self.problems.append(Problem(source or "manifest", 0, 0, message))

    def check_keep(self, manifest: Manifest) -> None:
        """Only changes to copy-on-write mounts can be kept."""
        copied = any(mount.mode is Mode.COPY_ON_WRITE for mount in self.mounts)
        if manifest.app.keep is None:
            return
        message = lost_in_union(self.served) if copied else NOTHING_TO_KEEP
        if message is not None:
            self.problems.append(Problem(manifest.source or "manifest", 0, 0, message))

    def plan(self, manifest: Manifest, directory: str) -> Plan:
        """The plan, once nothing is wrong."""
        app = manifest.app
        limits = decided(manifest, self.host)
        steps = sized(self.steps, limits.disk)
        return Plan(
            namespace=Namespace(tuple(self.mounts)),
            steps=closed(steps, self.served) if self.vets else steps,
            vets=self.vets,
            served=tuple(self.served),
            points=(*self.points, ("/proc", True), ("/dev", True)),
            dials=rules(manifest),
            listens=manifest.listens,
            network=manifest.network,
            routed=bool(why_routed(manifest)),
            command=app.command or (),
            directory=directory,
            environment={**web_environment(manifest, self.host), **app.environment},
            secrets=manifest.secrets,
            hostname=app.hostname or DEFAULT_HOSTNAME,
            name=app.name,
            keep=app.keep,
            time=manifest.limits.time,
            limits=limits,
            asked=manifest.limits,
            allow_missing=manifest.allow_missing,
            syscalls=calls(wanted_calls(manifest)) if self.vets else wanted_calls(manifest),
            root=app.user == "root",
            ambient=app.ambient is not False,
            serve_all=self.serve_all,
            source=manifest.source,
            record=bool(app.record),
            lines=(
                *self.lines,
                *INIT_LINES,
                syscalls_line(manifest),
                *vetting_lines(self.mounts),
                *limit_lines(manifest, limits),
                *network_lines(manifest),
            ),
        )
