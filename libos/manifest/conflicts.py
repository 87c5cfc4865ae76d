"""What is wrong with a manifest only as a whole, or only on this host: clashes and missing sources."""

from __future__ import annotations

import os

from libos.manifest import merge
from libos.manifest.document import Document
from libos.manifest.model import Manifest
from libos.manifest.paths import absolute
from libos.manifest.problems import Problem, already_mounted, at_origin
from libos.namespace import Order


def conflicts(manifest: Manifest) -> list[Problem]:
    """A problem for each mount at a place, and each listen at an outside address, that an earlier one has.
    What joins a union, with an order, takes no place."""
    found = []
    replacing = [mount for mount in manifest.mounts if mount.order is Order.REPLACE]
    for mount, later in merge.clashes(replacing, lambda mount: mount.at):
        found.append(at_origin(later.origin, already_mounted(later.at, mount.origin)))
    fixed = [listen for listen in manifest.listens if listen.outside or listen.path is not None]
    for listen, other in merge.clashes(fixed, lambda listen: listen.published):
        message = f"{other.published} is already published by {listen.origin}; choose another port"
        found.append(at_origin(other.origin, message))
    if manifest.limits.latency is not None and manifest.limits.cpu_share is not None:
        message = "latency and cpu_share are one weight: say one of them"
        found.append(at_origin(manifest.limits.origins.get("latency", "limits"), message))
    for secret, another in merge.clashes(manifest.secrets, lambda secret: secret.name):
        found.append(at_origin(another.origin, f'"{another.name}" is a secret of {secret.origin} already'))
    return found


def missing_sources(document: Document) -> list[Problem]:
    """A problem for each source that the host does not have, whatever else is wrong with its mount."""
    found = []
    mounts = document.raw.get("mount")
    for index, mount in enumerate(mounts if isinstance(mounts, list) else ()):
        written = mount.get("host") if isinstance(mount, dict) else None
        if not isinstance(written, str) or not written or "\0" in written or mount.get("optional") is True:
            continue
        message = absent(absolute(written, document.base))
        if message is not None:
            found.append(document.problem(("mount", index, "host"), f"{message}, or set optional = true"))
    return found


def absent(path: str) -> str | None:
    """Why a source cannot be mounted: it is not there, or cannot be reached. None when it can."""
    try:
        os.stat(path)
    except PermissionError:
        return f'you may not look at "{path}" on the host: choose what you may read'
    except (OSError, ValueError):
        return f'the host has no "{path}": make it, or correct the path'
    return None
