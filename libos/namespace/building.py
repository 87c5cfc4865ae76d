"""A namespace that is being built: a table, where relative names begin, and the mounts that recreate it.

Rules:
- Operations are applied one by one; one that is refused changes nothing.
- `namespace()` gives mounts that, applied in order, give the same table: those that were applied, without
  the ones of which nothing is left. Where what is left of an unmounted thing is bound elsewhere, it is
  mounted there itself instead. What no mounts could say is refused when it is to be unmounted.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import replace

from libos.namespace.errors import (
    AbsentError,
    IncludeError,
    InconsistentMountError,
    NamespaceError,
    NotMountedError,
    StillBoundError,
)
from libos.namespace.grammar import absolute, bound_or_host, mount_of
from libos.namespace.model import (
    BoundSource,
    BytesSource,
    HostSource,
    Mode,
    Mount,
    Namespace,
    Order,
    TextSource,
    WorldSource,
)
from libos.namespace.operations import (
    Bind,
    Chdir,
    Clear,
    Include,
    Lay,
    MountServer,
    Operation,
    Place,
    Unmount,
)
from libos.namespace.table import Element, Elements, Look, Table, There, look_at_values, shows


class Building:
    """One namespace, from its first operation on."""

    def __init__(self, look: Look = look_at_values, *, points: bool = True) -> None:
        """Without `points` a place must be there to be mounted on, as in Plan 9; with them it may be absent:
        lowering makes it where it can, and says so where not."""
        self.directory = "/"
        self._points = points
        self.changed_directory = False
        self._look = look
        self._log: list[Mount] = []
        self._left_out: set[int] = set()  # the mounts of the log that are optional and absent
        self._table = Table(look)
        self._taken = False  # something was unmounted: the log alone does not tell what is left

    @property
    def table(self) -> Table:
        """The table now; to look at."""
        return self._table

    def apply(self, operation: Operation, origin: str = "") -> None:
        """Do one operation, but for Include, which its reader resolves. NamespaceError: nothing was done."""
        match operation:
            case Bind() | MountServer():
                self._mount(mount_of(operation, self.directory, origin))
            case Place(mount):
                self._mount(mount)
            case Lay():
                self._lay(operation)
            case Unmount(old, new):
                self._unmount(absolute(old, self.directory), new)
            case Clear():
                self._log, self._table, self._taken, self.directory = [], Table(self._look), False, "/"
            case Chdir(directory):
                self._change_directory(absolute(directory, self.directory))
                # newns.c goes back to where it was unless some cd was absolute.
                self.changed_directory |= self._points or directory.startswith("/")
            case Include():
                raise IncludeError(f'"{operation.path}": only a reader of files can include one')

    def namespace(self) -> Namespace:
        """Mounts that recreate the table. StillBoundError where none do."""
        full = self._log
        for candidate in (self._live(), full, flatten(self._table)):
            if candidate is not None and _same(candidate, self._table):
                return Namespace(tuple(_pruned(candidate, self._table)))
        raise StillBoundError("what was unmounted is bound elsewhere too: unmount it there first")

    def _live(self) -> list[Mount]:
        """What was applied and left something in the table."""
        joined = {each.joined for elements in self._table.places.values() for each in elements}
        return [mount for number, mount in enumerate(self._log) if number in joined or mount.optional]

    def _mount(self, mount: Mount) -> None:
        if not self._points and self._table.lacks(mount.at):
            raise AbsentError(f'"{mount.at}" is not there to be mounted on')
        saved = dict(self._table.places)
        if not self._table.mount(mount):
            self._left_out.add(len(self._log))
        self._log.append(mount)
        if self._taken:
            self._check(saved, undo_log=True)

    def _lay(self, operation: Lay) -> None:
        at = absolute(operation.old, self.directory)
        numbers = [number for number, mount in enumerate(self._log) if mount.at == at]
        if not numbers or (at not in self._table.places and numbers[-1] not in self._left_out):
            raise NotMountedError(
                f'nothing is mounted at "{at}" that a layer could lie over: mount it before'
            )
        number = numbers[-1]  # a mount's number is its place in the log
        last = self._log[number]
        if operation.layer == "revocable":
            laid = replace(last, revocable=True)
        elif operation.layer == "replaceable":
            laid = replace(last, replaceable=True)
        else:
            laid = replace(last, layers=(*last.layers, operation.layer))
        self._log[number] = laid
        self._table.places = {
            place: tuple(_relaid(each, number, laid, place) for each in elements)
            for place, elements in self._table.places.items()
        }

    def _unmount(self, old: str, new: str | None) -> None:
        wanted = None if new is None else self._elements(new)
        saved = dict(self._table.places)
        self._table.unmount(old, wanted)
        self._taken = True
        self._check(saved, undo_log=False)

    def _elements(self, new: str) -> Elements:
        source = bound_or_host(new, self.directory)
        if isinstance(source, BoundSource):
            return self._table.resolve(source.path)
        return (Element(-2, -2, Mount("/", source)),)

    def _check(self, saved: dict[str, Elements], *, undo_log: bool) -> None:
        try:
            self.namespace()
        except NamespaceError:
            self._table.places = saved
            if undo_log:
                self._log.pop()
                self._table.count -= 1
            raise

    def _change_directory(self, path: str) -> None:
        if path != "/" and path not in ("/proc", "/dev"):
            kind = self._table.kind(self._table.resolve(path))
            if kind is There.FILE:
                raise InconsistentMountError(f'"{path}" is a file: cd takes a directory')
            if kind is There.ABSENT:
                raise AbsentError(f'"{path}" is not in the namespace: mount it before')
        self.directory = path


def _relaid(element: Element, number: int, mount: Mount, place: str) -> Element:
    """An element of a place after a layer was laid over a mount, which it shows or was bound by."""
    if element.number == number:
        return replace(element, mount=mount, revocable=element.revocable or mount.revocable)
    if element.joined == number and place == mount.at:
        return replace(element, over=mount.layers, revocable=element.revocable or mount.revocable)
    return element


def replayed(mounts: Iterable[Mount], look: Look) -> Table:
    """The table that mounts give in order. NamespaceError."""
    table = Table(look)
    for mount in mounts:
        table.mount(mount)
    return table


def view(table: Table) -> dict[str, tuple[tuple[object, ...], ...]]:
    """What a table shows, so that two that show the same are equal, whatever operations made them."""
    numbers: dict[int, int] = {}
    seen = {}
    for place in sorted(table.places):
        seen[place] = tuple(_shown(element, numbers) for element in table.places[place])
    return seen


def _shown(element: Element, numbers: dict[int, int]) -> tuple[object, ...]:
    what: tuple[object, ...] = shows(element)
    if what[0] != "host":
        number = numbers.setdefault(element.number, len(numbers))
        what = (element.source, element.below, None if _by_value(element) else number)
    mount = element.mount
    laid = (mount.layers, element.over, element.revocable, mount.replaceable)
    return (what, element.mode, element.creates, *laid)


def _by_value(element: Element) -> bool:
    """Whether two mounts of equal values are the same thing."""
    mount = element.mount
    constant = isinstance(mount.source, (TextSource, BytesSource, WorldSource, BoundSource))
    return constant and not mount.layers and not element.over and not element.revocable


def _same(mounts: list[Mount], table: Table) -> bool:
    try:
        return view(replayed(mounts, table.look)) == view(table)
    except NamespaceError:
        return False


def _pruned(mounts: list[Mount], table: Table) -> list[Mount]:
    """The mounts without those that make no difference any more, the oldest first."""
    if len({mount.at for mount in mounts}) == len(mounts) == len(table.places):
        return mounts
    for mount in list(mounts):
        without = [each for each in mounts if each is not mount]
        if not mount.optional and _same(without, table):
            mounts = without
    return mounts


def flatten(table: Table) -> list[Mount] | None:
    """Mounts for each place by itself, parents first; None where one cannot be said."""
    mounts: list[Mount] = []
    homes: dict[int, str] = {}
    for at in sorted(table.places, key=lambda place: (place.count("/"), len(table.places[place]) > 1)):
        elements = table.places[at]
        for index, element in enumerate(elements):
            mount = _alone(element, at, homes)
            if mount is None:
                return None
            if len(elements) == 1 and not (element.below or element.over):
                homes.setdefault(element.number, at)
            mounts.append(replace(mount, order=Order.AFTER if index else Order.REPLACE))
    return mounts


def _alone(element: Element, at: str, homes: dict[int, str]) -> Mount | None:
    """One element as a mount: by the host's path, by where it is mounted whole, or as the thing itself."""
    writes = element.mode is not Mode.READ_ONLY
    whole = replace(element.mount, at=at, mode=element.mode, creatable=element.creatable or not writes)
    what = shows(element)
    if what[0] == "host":
        return replace(whole, source=HostSource(str(what[1])))
    if _by_value(element):
        return whole
    if (home := homes.get(element.number)) is not None:
        source = BoundSource(posixpath.join(home, element.below) if element.below else home)
        bound = replace(whole, source=source, layers=element.over, revocable=element.revocable)
        return replace(bound, replaceable=False)
    return None if element.below or element.over else whole
