"""What lowering knows of the mounts so far, and how unions and binds are lowered.

- A union is served, since the kernel has none in which directories of one name stay apart. It stands where
  its first element stood, below what is mounted in it; once something was bound from there, over it.
- An element is a directory of the host that is opened by itself, or a part of what is mounted elsewhere. What
  must be the same in both places (memory, copies, layers) is then served by one node in both.
- What is bound inside the world is bound by init, when all before it is mounted.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace

from libos.manifest.problems import Problem, at_origin
from libos.namespace import (
    BoundSource,
    HostSource,
    Mode,
    Mount,
    NodeSource,
    Order,
    WorldSource,
    is_at_or_below,
)
from libos.namespace.errors import NamespaceError
from libos.namespace.table import Element, Elements, Table, There, shows
from libos.plan.hostview import HostView
from libos.plan.lines import asked
from libos.plan.lookup import find, looking
from libos.plan.model import BindServed, Line, Overlay, Part, Rebind, Served, Step, Tmpfs
from libos.plan.points import Placed, point_below

_UNION = "a union of {}: the kernel has none in which directories of one name stay apart"
_SHARED = "a union shows it too, so one server answers for both"


def is_union(mount: Mount, elements: Elements) -> bool:
    """Whether what stands at a place now must be served as a union: elements of which some are not seen, or
    one in which files may be written and none made; or a bind with layers of its own."""
    kept_from_creating = any(each.mode is not Mode.READ_ONLY and not each.creatable for each in elements)
    joined = mount.order is not Order.REPLACE and len(elements) > 1
    laid = isinstance(mount.source, BoundSource) and bool(mount.layers or mount.revocable)
    return joined or laid or (kept_from_creating and not _is_file_of_values(elements))


def _is_file_of_values(elements: Elements) -> bool:
    return isinstance(elements[0].source, (NodeSource, WorldSource)) and len(elements) == 1


class Joining:
    """The mounts so far: where each was placed, the steps, what is served, and the problems met."""

    def __init__(self, host: HostView) -> None:
        self.host = host
        self.table = Table(looking(host))
        self.rebinds = 0
        self.problems: list[Problem] = []
        self.mounts: list[Mount] = []
        self.placed: list[Placed] = []
        self.steps: list[Step] = []
        self.served: list[Served] = []
        self.points: list[tuple[str, bool]] = []
        self.lines: list[Line] = []
        self._slots = 0

    # --- the table

    def followed(self, mount: Mount) -> Mount:
        """A bind with the path that its source has once links are followed, as the world follows them."""
        if not isinstance(mount.source, BoundSource):
            return mount
        found = find(self.table, mount.source.path, self.host)
        return mount if found is None else replace(mount, source=BoundSource(found.path))

    def enter(self, mount: Mount) -> Elements | None:
        """Put a mount into the table; what then stands at its place, or None where it is refused or left
        out."""
        before = self.table.count, self.table.places.get(mount.at)
        checked = isinstance(mount.source, HostSource)  # it is there
        try:
            self.table.mount(replace(mount, optional=False) if checked else mount)
        except NamespaceError as error:
            self.refuse(mount, str(error))
            return None
        elements = self.table.places.get(mount.at)
        if elements is None or elements is before[1]:
            assert isinstance(mount.source, BoundSource)
            self.line(mount, "left out", f"optional, and nothing stands at {mount.source.path}")
            return None
        if isinstance(mount.source, BoundSource) and find(self.table, mount.source.path, self.host) is None:
            path = mount.source.path
            self.refuse(
                mount, f'"{path}" is a link that leads to nothing in the namespace: bind what it names'
            )
            return None
        return elements

    def parent(self, at: str) -> Placed | None:
        """What is mounted above a place, if anything is."""
        above = (each for each in reversed(self.placed) if each.mount.at != at)
        return next((each for each in above if is_at_or_below(at, each.mount.at)), None)

    def stands_at_or_below(self, at: str) -> bool:
        """Whether something is mounted where a new mount would cover it."""
        return any(is_at_or_below(each.mount.at, at) for each in self.placed)

    def cover(self, at: str) -> None:
        """Forget what a mount covers."""
        self.placed = [each for each in self.placed if not is_at_or_below(each.mount.at, at)]

    def new_slot(self) -> int:
        """A number for a served node that is bound into place."""
        self._slots += 1
        return self._slots - 1

    # --- binds

    def rebind(
        self, mount: Mount, path: str, directory: bool | None, *, below: bool, make_point: bool
    ) -> None:
        """Have init bind what the world shows at a path."""
        if directory is None:
            self.problem(mount, f'only running code knows what "{path}" is: bind what it stands in')
            return
        read_only = mount.mode is Mode.READ_ONLY
        self.steps.append(Rebind(mount.at, path, read_only, directory, make_point))
        self.rebinds += 1
        if not below:
            self.points.append((mount.at, directory))
        self.line(mount, "bind", "what the world itself shows there, bound by its init")

    # --- unions

    def place_union(self, mount: Mount, elements: Elements) -> None:
        """Serve a union at the place of a mount that made it or joined it."""
        parts = self._parts(mount, elements)
        if parts is None:
            return
        at = mount.at
        earlier = next((each for each in self.placed if each.mount.at == at), None)
        in_place = earlier is not None and earlier.rebinds == self.rebinds
        parent = self.parent(at)
        make_point: bool | str = False
        if earlier is None and parent is not None:
            make_point = point_below(parent, mount, True, self.host)
        if isinstance(make_point, str):
            self.refuse(mount, make_point)
            return
        if not in_place and (
            inner := [each for each in self.placed if each.mount.at in self.table.below(at)]
        ):
            self.refuse(mount, f'it would cover "{inner[0].mount.at}": mount that after this')
            return
        stepped = self._put_union(at, parts, earlier if in_place else None, parent is not None, make_point)
        shown = tuple(map(self._as_placed, elements))
        placed = Placed(mount, True, None, rebinds=self.rebinds, elements=shown, stepped=stepped, served=True)
        if earlier is None:
            self.placed.append(placed)
        else:
            self.placed[self.placed.index(earlier)] = placed
        for each in {element.number for element in elements}:
            self._share(each)
        self._tell(mount, len(elements))

    def _put_union(
        self, at: str, parts: tuple[Part, ...], earlier: Placed | None, below: bool, make_point: bool
    ) -> bool:
        """In the place of what stood there, in the skeleton where that shows it, else bound over it: then it
        has a step."""
        index = len(self.steps)
        covered = self.stands_at_or_below(at) and earlier is None
        if earlier is not None:
            steps = [number for number, step in enumerate(self.steps) if step.at == at]
            served = [number for number, each in enumerate(self.served) if each.at == at]
            if steps and earlier.stepped:
                index, make_point = steps[-1], self.steps[steps[-1]].make_point
                self.steps.pop(index)
            if served and earlier.served:
                self.served.pop(served[-1])
            covered = at in (step.at for step in self.steps)
        writable = any(part.served.writable and not part.read_only for part in parts)
        union = Served(at, BoundSource(at), writable=writable, elements=parts)
        if covered and not below and (at, True) not in self.points:
            self.points.append((at, True))
        if below or covered:
            union = replace(union, slot=self.new_slot())
            self.steps.insert(index, BindServed(at, union.slot or 0, True, make_point))
        self.served.append(union)
        return below or covered

    def _parts(self, mount: Mount, elements: Elements) -> tuple[Part, ...] | None:
        """The elements as they are served; None where one cannot be, which is then noted."""
        if isinstance(mount.source, BoundSource):
            path = mount.source.path
            if isinstance(elements[0 if mount.order is not Order.AFTER else -1].source, BoundSource):
                self.refuse(mount, f'"{path}" only leads to what is mounted below it: name one of these')
                return None
            if inner := self.table.below(path):
                message = f'"{inner[0]}" is mounted below "{path}", and a union would not show it'
                self.refuse(mount, message)
                return None
            if self.table.kind(elements) is There.FILE:
                self.refuse(mount, f'"{path}" is a file, and only a directory is bound with -w or layers')
                return None
        return tuple(map(self._part, elements))

    def _part(self, element: Element) -> Part:
        mount, source = element.mount, element.source
        creatable = element.creates
        if isinstance(source, HostSource) and shows(element)[0] == "host":
            real = self._real(source.path, element.below)
            writable = element.mode is not Mode.READ_ONLY
            return Part(Served(mount.at, HostSource(real), writable=writable), creatable=creatable)
        if isinstance(source, HostSource):
            source = HostSource(self._real(source.path, ""))
        whole = Served(
            mount.at,
            source,
            writable=mount.mode is not Mode.READ_ONLY,
            copy_on_write=mount.mode is Mode.COPY_ON_WRITE,
            layers=mount.layers,
            share=element.number,
        )
        read_only = element.mode is Mode.READ_ONLY and whole.writable
        return Part(whole, element.below, creatable, read_only, element.over)

    def _as_placed(self, element: Element) -> Placed:
        """An element as if it were mounted alone: what mount points in it need."""
        mount = replace(element.mount, mode=element.mode, creatable=element.creates)
        if isinstance(element.source, HostSource):
            return Placed(mount, True, self._real(element.source.path, element.below))
        return Placed(mount, True, None)

    def _real(self, path: str, below: str) -> str:
        whole = posixpath.join(path, below) if below else path
        return self.host.resolve(whole) or whole

    def _share(self, number: int) -> None:
        """Serve what a union shows too by the union's node, where it stands by itself."""
        home = next((each for each in self.placed if each.number == number), None)
        if home is None:
            return
        at = home.mount.at
        self.served = [replace(each, share=number) if each.at == at else each for each in self.served]
        lowered = next((step for step in self.steps if step.at == at), None)
        if not isinstance(lowered, Tmpfs | Overlay):
            return
        mount = home.mount
        copied = mount.mode is Mode.COPY_ON_WRITE
        source = HostSource(home.source) if home.source is not None else mount.source
        served = Served(at, source, writable=True, copy_on_write=copied, share=number)
        index = self.steps.index(lowered)
        if (at, True) in self.points:
            self.steps.pop(index)
        else:
            served = replace(served, slot=self.new_slot())
            self.steps[index] = BindServed(at, served.slot or 0, True, lowered.make_point)
        self.served.append(served)
        self.placed[self.placed.index(home)] = replace(home, stepped=served.slot is not None, served=True)
        self.lines = [
            replace(line, mechanism="served", reason=_SHARED) if line.at == at else line
            for line in self.lines
        ]

    def _tell(self, mount: Mount, count: int) -> None:
        """A line for the mount; the lines of those that it joins now say the same."""
        reason = _UNION.format(f"{count} directories" if count > 1 else "one directory")
        self.lines = [
            replace(line, mechanism="served", reason=reason)
            if line.at == mount.at and line.mechanism != "left out"
            else line
            for line in self.lines
        ]
        self.line(mount, "served", reason)

    # --- what is told

    def refuse(self, mount: Mount, message: str) -> None:
        """A problem, unless libos itself asked for the mount: then it is left out."""
        if isinstance(mount.source, WorldSource):
            self.line(mount, "left out", message)
        else:
            self.problem(mount, message)

    def line(self, mount: Mount, mechanism: str, reason: str) -> None:
        """One line of `libos explain`."""
        self.lines.append(Line(mount.at, asked(mount), mechanism, reason, mount.origin))

    def problem(self, mount: Mount, message: str) -> None:
        """One thing that is wrong with a mount."""
        self.problems.append(at_origin(mount.origin or mount.at, message))
