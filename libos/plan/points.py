"""Mount points below other mounts.

What ends with the world (memory, copy-on-write) gets a mount point made. In a directory of the host it must
exist already, since making it would change the host. Its path there must hold no symbolic link: before the
world's root is in place, a link would lead into the host's.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from libos.namespace import MemorySource, Mode, Mount
from libos.plan.hostview import HostView, Kind


@dataclass(frozen=True)
class Placed:
    """A mount that found its place: what `lower` needs to know for the mounts below it."""

    mount: Mount
    directory: bool | None
    source: str | None  # the host path without links, for host mounts
    number: int = -1  # of its element in the table
    rebinds: int = 0  # steps before it that bound something inside the world
    elements: tuple[Placed, ...] = ()  # of a union, each as if it were mounted alone
    stepped: bool = False  # init mounts it
    served: bool = False  # the file server answers it

    @property
    def ends_with_world(self) -> bool:
        """Whether a mount point may be made in it without a trace on the host."""
        return isinstance(self.mount.source, MemorySource) or self.mount.mode is Mode.COPY_ON_WRITE


def point_below(parent: Placed, mount: Mount, directory: bool | None, host: HostView) -> bool | str:
    """Whether the mount point must be made in the parent, or a sentence: why the mount cannot stand there."""
    if parent.directory is False:
        return f'"{parent.mount.at}" is a file, so nothing can be mounted below it'
    if parent.elements:
        return point_below(_element_of(parent, mount.at, host), mount, directory, host)
    if parent.source is None:
        return parent.ends_with_world
    kind, tree = _walk(host, parent.source, posixpath.relpath(mount.at, parent.mount.at).split("/"))
    if kind is None:
        return parent.ends_with_world or _absent(parent.source, parent.mount.at, mount.at, directory)
    if kind is Kind.LINK:
        return (
            f'"{tree}" is a symbolic link on the host, and nothing is mounted through one: '
            f"mount at the place where it leads ({host.link(tree)})"
        )
    if directory is not None and (kind is Kind.DIRECTORY) != directory:
        wanted = "a directory" if directory else "a file"
        return f'"{mount.at}" is {wanted}, and on the host "{tree}" is none: mount it elsewhere'
    return False


def _element_of(union: Placed, at: str, host: HostView) -> Placed:
    """The element of a union in which a path below it leads; where none has its first name, the one that
    creates, as far as it ends with the world."""
    first = posixpath.relpath(at, union.mount.at).partition("/")[0]
    for element in union.elements:
        if element.source is not None and host.kind(posixpath.join(element.source, first)) is not None:
            return element
    creating = (element for element in union.elements if element.mount.creatable)
    return next(creating, union.elements[0])


def _walk(host: HostView, tree: str, names: list[str]) -> tuple[Kind | None, str]:
    """What stands at the end of the names below a host directory, or at the first link on the way."""
    kind: Kind | None = Kind.DIRECTORY
    for name in names:
        tree = posixpath.join(tree, name)
        kind = host.kind(tree)
        if kind is None or kind is Kind.LINK:
            break
    return kind, tree


def _absent(source: str, parent_at: str, at: str, directory: bool | None) -> str:
    point = posixpath.join(source, posixpath.relpath(at, parent_at))
    make = f"touch {point}" if directory is False else f"mkdir -p {point}"
    return (
        f'"{at}" stands in the host\'s "{source}", which has nothing there to mount on: '
        f'{make}, or mount "{parent_at}" copy-on-write'
    )
