"""Why the file of a channel cannot be one, as far as a plan can tell; opening it tells the rest."""

from __future__ import annotations

import posixpath

from libos.namespace import ChannelSource, Mount
from libos.plan.hostview import HostView, Kind


def not_a_channel(mount: Mount, host: HostView) -> str | None:
    """Why the mount's source is no file that a channel can open; None where it is, or is no channel."""
    source = mount.source
    if not isinstance(source, ChannelSource) or source.path is None:
        return None
    if mount.layers or mount.revocable or mount.replaceable:
        return f'"{mount.at}" is a channel: it has its own counts and takes no layers'
    real = host.resolve(source.path)
    if real is not None:
        fits = host.kind(real) is Kind.FILE
        return None if fits else f'"{source.path}" is no regular file: a channel needs one'
    folder = host.resolve(posixpath.dirname(source.path))
    made = source.puttable and host.kind(source.path) is None
    if made and folder is not None and host.kind(folder) is Kind.DIRECTORY:
        return None  # it is made when it is opened
    return f'the host has no "{source.path}": make it, or correct the path'
