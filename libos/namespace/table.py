"""The mount table: what each operation of bind(2) does to it.

Rules, of bind(2) and of cmount, cunmount and namec in Plan 9's port/chan.c:
- At each place stands a list of elements. No flag replaces the list; -b and -a put before and after it.
- -b or -a where nothing is mounted makes a union with what is there, in which nothing is created.
- `new` is looked up when its turn comes; later mounts on it change nothing at `old`. `old` is looked up
  without what is mounted on it: a second bind on one name goes to the same list.
- Binding what is itself a union copies its elements. Only the first keeps -c's right, and -c is refused
  unless the union has one element, in which things may be created.
- A name below a union is the first element's that has its first part; there is no way back into others.
- Both are directories, or both are not.

What libos does otherwise, since the kernel's mounts stand at paths: what is mounted below a bound directory
appears below `old` too, but what is mounted there later does not (Plan 9 finds it by the file itself).

Pure: whether a path is there, and a directory, is asked of `look`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from libos.namespace.errors import (
    AbsentError,
    CreationError,
    InconsistentMountError,
    NotInUnionError,
    NotMountedError,
    OrderError,
    PlaceError,
)
from libos.namespace.layers import Layer
from libos.namespace.model import (
    BoundSource,
    HostSource,
    ImageSource,
    MemorySource,
    Mode,
    Mount,
    NodeSource,
    Order,
    P9Source,
    Source,
    is_at_or_below,
)

# What init makes in every world after all that is mounted.
MADE_BY_INIT = ("/proc", "/dev")


class There(StrEnum):
    """What stands at a path below a source."""

    DIRECTORY = "directory"
    FILE = "file"
    ABSENT = "absent"
    UNKNOWN = "unknown"


Look = Callable[[Source, str], There]


def look_at_values(source: Source, below: str) -> There:
    """What the values alone tell: nothing about the host and about nodes."""
    if isinstance(source, (HostSource, ImageSource, NodeSource)):
        return There.UNKNOWN
    if isinstance(source, P9Source):
        return There.UNKNOWN if below else There.DIRECTORY
    if isinstance(source, (MemorySource, BoundSource)):
        return There.ABSENT if below else There.DIRECTORY
    return There.ABSENT if below else There.FILE


@dataclass(frozen=True)
class Element:
    """One element of what is mounted at a place.

    `source` and `below` say what it shows; two elements of one `number` show the same thing, not two alike. A
    BoundSource here is a directory that only leads to mount points. `joined` is the operation that put it
    where it is; `mount` the one that its source came with, its layers included. The layers `over` came with a
    bind, and are over what it bound.
    """

    number: int
    joined: int
    mount: Mount
    below: str = ""
    mode: Mode = Mode.READ_ONLY
    creatable: bool = False
    over: tuple[Layer, ...] = ()
    revocable: bool = False

    @property
    def source(self) -> Source:
        """What its files come from; `below` is a path below that."""
        return self.mount.source

    @property
    def creates(self) -> bool:
        """Whether what is new in a union may be made here."""
        return self.creatable and self.mode is not Mode.READ_ONLY

    def at_below(self, name: str) -> str:
        """A path below this element as one below its source."""
        return posixpath.join(self.below, name) if self.below else name


Elements = tuple[Element, ...]


class Table:
    """Places and what is mounted there; operations change it or raise a NamespaceError and change nothing."""

    def __init__(self, look: Look = look_at_values) -> None:
        self.look = look
        self.places: dict[str, Elements] = {}
        self.count = 0

    # --- looking

    def resolve(self, path: str) -> Elements:
        """What stands at an absolute, clean path. AbsentError, PlaceError for what init makes."""
        if any(is_at_or_below(path, made) for made in MADE_BY_INIT):
            raise PlaceError(f'"{path}" is made when all is mounted: it cannot be bound elsewhere')
        place = self.place_of(path)
        if place == path:
            return self.places[path]
        if place is not None:
            found = self._below(place, posixpath.relpath(path, place))
            if found is not None:
                return (found,)
        if path == "/" or any(is_at_or_below(other, path) for other in self.places):
            return (Element(-1, -1, Mount(path, BoundSource(path))),)
        raise AbsentError(f'"{path}" is not in the namespace when this is bound: mount it before')

    def place_of(self, path: str) -> str | None:
        """The nearest place at a path or above it."""
        while path not in self.places:
            if path == "/":
                return None
            path = posixpath.dirname(path)
        return path

    def _below(self, place: str, rest: str) -> Element | None:
        """The element that a path below a place leads into, and no further than its first part decides."""
        first = rest.partition("/")[0]
        for element in self.places[place]:
            if self.look(element.source, element.at_below(first)) is not There.ABSENT:
                if element.over:
                    raise PlaceError(
                        f'"{place}" was bound with layers, which hold for all of it: bind it whole'
                    )
                below = element.at_below(rest)
                if self.look(element.source, below) is There.ABSENT:
                    return None
                return replace(element, below=below, creatable=False)
        return None

    def kind(self, elements: Elements) -> There:
        """What elements are: the first one's kind."""
        if not elements:
            return There.UNKNOWN
        return self.look(elements[0].source, elements[0].below)

    def lacks(self, at: str) -> bool:
        """Whether a place stands in something mounted that has nothing there, and where nothing can be made
        without a trace on the host."""
        place = self.place_of(at)
        if place is None or place == at or self._standing(at) or self.below(at):
            return False
        top = self.places[place][0]
        return not (isinstance(top.source, MemorySource) or top.mode is Mode.COPY_ON_WRITE)

    # --- mounting

    def mount(self, mount: Mount) -> bool:
        """Mount what a value says: bind(2), mount(2). What is optional and absent is left out: then False."""
        at = mount.at
        _check_place(at)
        elements = self._elements(mount)
        if elements is None:
            self.count += 1
            return False
        standing = self._standing(at)
        if standing or mount.order is not Order.REPLACE:
            self._check_kinds(mount, elements, standing)
        if mount.order is Order.REPLACE:
            self._replace(at, elements, mount)
        else:
            both = (elements, standing) if mount.order is Order.BEFORE else (standing, elements)
            self.places[at] = both[0] + both[1]
        self.count += 1
        return True

    def _check_kinds(self, mount: Mount, elements: Elements, standing: Elements) -> None:
        at, kind, old_kind = mount.at, self.kind(elements), self.kind(standing)
        if mount.order is not Order.REPLACE and There.FILE in (kind, old_kind):
            raise OrderError(f'-a and -b are for directories, and "{at}" or what joins it is a file')
        if {kind, old_kind} == {There.FILE, There.DIRECTORY}:
            raise InconsistentMountError(
                f'inconsistent mount: "{at}" is a {old_kind} and would become a {kind}: '
                "both must be directories, or both files"
            )

    def _elements(self, mount: Mount) -> Elements | None:
        """What a mount adds. None for what is optional and not there."""
        if not isinstance(mount.source, BoundSource):
            if mount.optional and self.look(mount.source, "") is There.ABSENT:
                return None
            number = self.count
            return (Element(number, number, mount, "", mount.mode, mount.creatable, (), mount.revocable),)
        try:
            found = self.resolve(mount.source.path)
        except AbsentError:
            if mount.optional:
                return None
            raise
        writes, creates = mount.mode is not Mode.READ_ONLY, _creates(mount)
        if creates:
            self._check_creation(mount.source.path, found)
        return tuple(
            replace(
                element,
                joined=self.count,
                mode=element.mode if writes else Mode.READ_ONLY,
                creatable=creates and index == 0,
                over=element.over + mount.layers,
                revocable=element.revocable or mount.revocable,
            )
            for index, element in enumerate(found)
        )

    def _check_creation(self, path: str, found: Elements) -> None:
        if len(found) > 1:
            raise CreationError(f'"{path}" is a union, and -c takes one directory: bind it without -c')
        if found[0].mode is Mode.READ_ONLY:
            raise CreationError(f'"{path}" is read-only there, so nothing can be created in it: leave -c out')
        if path in self.places and not found[0].creatable:
            raise CreationError(f'nothing can be created in "{path}" itself: bind it without -c')

    def _standing(self, at: str) -> Elements:
        """What is at a place now: its list, or the plain directory there, in which nothing is created."""
        if at in self.places:
            return self.places[at]
        place = self.place_of(at)
        found = None if place is None else self._below(place, posixpath.relpath(at, place))
        return () if found is None else (replace(found, joined=-1),)

    def _replace(self, at: str, elements: Elements, mount: Mount) -> None:
        """Put a list in the place of what is at and below; with a bound directory comes what is below."""
        copied: dict[str, Elements] = {}
        if isinstance(mount.source, BoundSource):
            top = mount.source.path
            writes = mount.mode is not Mode.READ_ONLY
            for place in self.below(top):
                copied[posixpath.join(at, posixpath.relpath(place, top))] = tuple(
                    replace(each, joined=self.count, mode=each.mode if writes else Mode.READ_ONLY)
                    for each in self.places[place]
                )
        self._drop(at)
        self.places[at] = elements
        self.places |= copied

    def below(self, path: str) -> list[str]:
        """The places strictly below a path."""
        return [place for place in self.places if place != path and is_at_or_below(place, path)]

    def _drop(self, at: str) -> None:
        for place in [*self.below(at), at]:
            self.places.pop(place, None)

    # --- taking away

    def unmount(self, old: str, new: Elements | None = None) -> None:
        """unmount in bind(2): the whole list, or the first element of it that shows the same as the first of
        `new`. NotMountedError, NotInUnionError."""
        if old not in self.places:
            raise NotMountedError(f'nothing is mounted at "{old}"')
        if new is None:
            self._drop(old)
            return
        standing = self.places[old]
        same = [index for index, each in enumerate(standing) if shows(each) == shows(new[0])]
        if not same:
            raise NotInUnionError(f'what is to be unmounted is not among what is mounted at "{old}"')
        left = standing[: same[0]] + standing[same[0] + 1 :]
        if left:
            self.places[old] = left
        else:
            self._drop(old)


def shows(element: Element) -> tuple[object, ...]:
    """What an element shows, so that two that show the same thing are equal."""
    mount, source = element.mount, element.source
    alike = not (mount.layers or element.over or element.revocable or mount.replaceable)
    if isinstance(source, HostSource) and alike and mount.mode is not Mode.COPY_ON_WRITE:
        return ("host", posixpath.normpath(posixpath.join(source.path, element.below)))
    return (element.number, element.below)


def _creates(mount: Mount) -> bool:
    return mount.creatable and mount.mode is not Mode.READ_ONLY


def _check_place(at: str) -> None:
    if at == "/":
        raise PlaceError('nothing can be mounted at "/": it shows what is mounted below; name a directory')
    for made in MADE_BY_INIT:
        if is_at_or_below(at, made):
            raise PlaceError(f'nothing can be mounted at "{at}": every world has a {made} of its own')
