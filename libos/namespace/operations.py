"""The operations of namespace(6), as values. What they mean is in `libos.namespace.table`.

`flags` are the letters of bind(1) and libos's own, in any order: a (after), b (before), c (create), q (leave
it out where the host has no source), w (files may be written, nothing is made); C (cache) means nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from libos.namespace.layers import Layer
from libos.namespace.model import Mount


@dataclass(frozen=True)
class Bind:
    """`bind new old`: what `new` shows now appears at `old` too. A `new` of "#host/path" is the host's."""

    new: str
    old: str
    flags: str = ""


@dataclass(frozen=True)
class MountServer:
    """`mount server old spec`: what a device of libos serves appears at `old`: "#memory", "#text" …"""

    server: str
    old: str
    spec: str = ""
    flags: str = ""


@dataclass(frozen=True)
class Place:
    """A mount given as a value, as manifests and Python code have it."""

    mount: Mount


@dataclass(frozen=True)
class Lay:
    """`layer old …`: one more layer over what was mounted last at `old`, or a property of that mount:
    "revocable", "replaceable"."""

    old: str
    layer: Layer | Literal["revocable", "replaceable"]


@dataclass(frozen=True)
class Unmount:
    """`unmount [new] old`: all that is mounted at `old` goes, or the first element of it that is `new`."""

    old: str
    new: str | None = None


@dataclass(frozen=True)
class Clear:
    """`clear`: everything goes, as with rfork(2) and RFCNAMEG."""


@dataclass(frozen=True)
class Chdir:
    """`cd directory`: where relative names begin, and where the app starts."""

    directory: str


@dataclass(frozen=True)
class Include:
    """`. path`: the operations in a file of the namespace that is being built."""

    path: str


Operation = Bind | MountServer | Place | Lay | Unmount | Clear | Chdir | Include
