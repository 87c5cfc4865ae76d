"""What is mounted where, as values.

Rules and invariants:
- A `Mount` says which source appears at which absolute, clean path. It is a value: nothing here touches the
  host, so namespaces are built, compared and printed without any I/O.
- A `Namespace` is applied from its first mount to its last, as in Plan 9's bind(2): what comes later covers
  what came before at and below its path. `Namespace.ordered` puts parents before children, so that the
  order in which a manifest lists its mounts does not matter; what is bound comes after all that is mounted
  at, above or below its source. Text is applied in the order in which it is written.
- Mounts at one path that say `before` or `after` are a union: elements in order, the first that has a name
  wins, and directories of one name in two elements do not merge. Without an order a mount replaces what
  stood at its path. bind(1), bind(2).
- What is in no mount does not exist.
- `/proc` and `/dev` are made by the world's init and are in no namespace.
"""

from __future__ import annotations

import posixpath
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from libos.namespace.channel import ChannelSource
from libos.namespace.layers import Layer

if TYPE_CHECKING:
    from libos.fs.node import Node


class Mode(StrEnum):
    """What the app may do with a mount."""

    READ_ONLY = "read-only"
    READ_WRITE = "read-write"
    COPY_ON_WRITE = "copy-on-write"


class Order(StrEnum):
    """How a mount joins what stands at its path already: bind(1)'s no flag, -b and -a."""

    REPLACE = "replace"
    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class HostSource:
    """A file or directory of the host, by absolute path. `image` names the image in whose tree it is."""

    path: str
    image: str = field(default="", compare=False)


@dataclass(frozen=True)
class ImageSource:
    """What an image holds at an absolute path: `reference` is as `libos.images.reference` has it, with an
    absolute path. Lowering makes a HostSource of it."""

    reference: str
    path: str = "/"


@dataclass(frozen=True)
class TextSource:
    """A file with this text, in UTF-8."""

    text: str


@dataclass(frozen=True)
class BytesSource:
    """A file with these bytes."""

    data: bytes


@dataclass(frozen=True)
class MemorySource:
    """An empty directory in memory, writable, which ends with its world. `size` is in bytes."""

    size: int


@dataclass(frozen=True)
class NodeSource:
    """A node of `libos.fs`, served as it stands."""

    node: Node


@dataclass(frozen=True)
class FunctionSource:
    """A file whose content is what the function returns, asked anew for each open; it may take who opens."""

    function: Callable[..., str | bytes | Awaitable[str | bytes]]


@dataclass(frozen=True)
class ServiceSource:
    """A unix socket that leads outside: to "unix!/PATH", to "tcp!HOST!PORT", or to an async function that
    gets the stream of each connection."""

    to: str | Callable[..., Awaitable[object]]

    def __str__(self) -> str:
        if isinstance(self.to, str):
            return self.to
        return str(getattr(self.to, "__qualname__", type(self.to).__name__))


@dataclass(frozen=True)
class P9Source:
    """The tree of a file server that speaks 9P2000.L, at "unix!/PATH" or "tcp!HOST!PORT"."""

    to: str


@dataclass(frozen=True)
class WorldSource:
    """A file that the supervisor writes about the world itself: "hosts" or "resolv.conf"."""

    name: str


@dataclass(frozen=True)
class BoundSource:
    """What the namespace itself shows at a path when this mount's turn comes: bind(1)'s `new`."""

    path: str


Source = (
    BoundSource
    | ChannelSource
    | HostSource
    | ImageSource
    | TextSource
    | BytesSource
    | MemorySource
    | NodeSource
    | FunctionSource
    | P9Source
    | ServiceSource
    | WorldSource
)


@dataclass(frozen=True)
class Mount:
    """One source at one place.

    `at` is absolute and clean. With `optional`, a source that the host does not have is left out instead of
    being an error. In a union what is new is made in the first element that is `creatable` and not
    read-only. `layers` lie over the source, the first one nearest to it. A `revocable` mount is served, so
    that taking it back fails what is open of it too. A `replaceable` file may be replaced by renaming
    another one over it. `origin` says where the mount was asked for
    ("agent.toml:12:1", "profile base", "-v ./a:/b"); it takes no part in comparisons, so the same mount from
    two files is equal.
    """

    at: str
    source: Source
    mode: Mode = Mode.READ_ONLY
    optional: bool = False
    order: Order = Order.REPLACE
    layers: tuple[Layer, ...] = ()
    revocable: bool = False
    creatable: bool = True
    replaceable: bool = False
    origin: str = field(default="", compare=False)


@dataclass(frozen=True)
class Namespace:
    """Mounts in the order in which they are applied."""

    mounts: tuple[Mount, ...] = ()

    @staticmethod
    def ordered(mounts: Iterable[Mount]) -> Namespace:
        """The namespace of these mounts: parents first, what is bound after what it shows, at one place first
        the mount that replaces; otherwise in the order given."""
        return Namespace(tuple(_ordered(list(mounts))))

    def __iter__(self) -> Iterator[Mount]:
        return iter(self.mounts)

    def __len__(self) -> int:
        return len(self.mounts)

    def covering(self, path: str) -> Mount | None:
        """The mount that answers for `path`: the last one at the path or above it, if any."""
        found: Mount | None = None
        for mount in self.mounts:
            if is_at_or_below(path, mount.at):
                found = mount
        return found

    def text(self, directory: str = "/") -> str:
        """The table in the grammar of Plan 9's namespace(6), with the working directory; see
        `libos.namespace.text`."""
        from libos.namespace.text import write

        return write(self, directory)


def _ordered(mounts: list[Mount]) -> Iterator[Mount]:
    left = sorted(mounts, key=lambda mount: (depth(mount.at), mount.order is not Order.REPLACE))
    if not any(isinstance(mount.source, BoundSource) for mount in left):
        yield from left
        return
    while left:
        # Where binds wait for each other in a ring, the first one breaks it.
        ready = next((each for each in left if not any(_waits(each, other) for other in left)), left[0])
        left = [each for each in left if each is not ready]
        yield ready


def _waits(mount: Mount, other: Mount) -> bool:
    """Whether `mount` can be mounted only after `other`."""
    if other is mount:
        return False
    if other.at != mount.at and is_at_or_below(mount.at, other.at):
        return True
    if other.at == mount.at:
        return other.order is Order.REPLACE and mount.order is not Order.REPLACE
    if not isinstance(mount.source, BoundSource):
        return False
    path = mount.source.path
    return is_at_or_below(path, other.at) or is_at_or_below(other.at, path)


def depth(path: str) -> int:
    """The number of names in an absolute, clean path: 0 for "/"."""
    return 0 if path == "/" else path.count("/")


def is_at_or_below(path: str, top: str) -> bool:
    """Whether `path` is `top` or stands below it; both absolute and clean."""
    return path == top or top == "/" or path.startswith(top + "/")


def is_clean(path: str) -> bool:
    """Whether a path is absolute and free of "//", ".", ".." and a last slash."""
    return path.startswith("/") and not path.startswith("//") and posixpath.normpath(path) == path
