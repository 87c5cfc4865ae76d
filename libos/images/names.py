"""What the entries of a layer may be called, and what their names say. Pure.

Specification: OCI layer file system changeset, "Whiteouts". A name is bytes relative to the tree's top; what
would lead out of the tree is refused and not mended.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from libos.images.errors import ImageError

WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
# What aufs keeps for itself begins so, and says nothing of files.
_OF_AUFS = b".wh..wh."


@dataclass(frozen=True)
class Said:
    """What a name says: an entry at `path`, that the lower `path` is gone, or that the lower layers of the
    directory `path` are hidden; "nothing" of anything."""

    what: Literal["entry", "whiteout", "opaque", "nothing"]
    path: bytes


def path_of(name: str) -> bytes:
    """A name of a tar as a path of the tree. ImageError where it would lead out of it."""
    raw = os.fsencode(name)
    parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
    if b"\0" in raw:
        raise ImageError(f"{name!r} has a NUL byte in it")
    if raw.startswith(b"/"):
        raise ImageError(f"{name!r} is an absolute name, which a layer has none of")
    if b".." in parts:
        raise ImageError(f'{name!r} climbs by ".."')
    return b"/".join(parts)


def said(name: str) -> Said:
    """What an entry's name says. ImageError for a name that no file can have, or that leads out."""
    path = path_of(name)
    folder, slash, last = path.rpartition(b"/")
    if last == _OPAQUE:
        return Said("opaque", folder)
    if last.startswith(_OF_AUFS):
        return Said("nothing", path)
    if not last.startswith(WHITEOUT):
        return Said("entry", path)
    gone = last[len(WHITEOUT) :]
    if gone in (b"", b".", b".."):
        raise ImageError(f"{name!r} takes away a name that no file has")
    return Said("whiteout", folder + slash + gone)
