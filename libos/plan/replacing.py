"""Which mounts can be replaceable."""

from __future__ import annotations

import posixpath

from libos.namespace import HostSource, Mode, Mount, Order


def not_replaceable(mount: Mount, directory: bool | None, *, below: bool) -> str | None:
    """Why renaming a file over this mount cannot replace the host's; None where it can."""
    folder = posixpath.dirname(mount.at)
    if not isinstance(mount.source, HostSource) or directory or mount.mode is not Mode.READ_WRITE:
        return (
            "only a file of the host that is read-write can be replaceable: remove this key, or set the mode"
        )
    if mount.layers or mount.revocable or mount.order is not Order.REPLACE:
        return "a replaceable file takes no layers, union or revocable: mount its folder instead"
    if folder == "/":
        return f'"{mount.at}" stands in the root, which stays as it is: mount it in a folder'
    if below:
        return (
            f'a mount covers "{folder}", and a replaceable file needs a folder without one: mount its folder'
        )
    return None
