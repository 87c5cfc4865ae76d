"""What a caller wrote for a grant, made into a mount: the same keys as a manifest's, with the same errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from libos.errors import ManifestError
from libos.grants import Grant, Grants
from libos.narrowing import Narrowing

if TYPE_CHECKING:
    from libos.fs.node import Node


def host(path: str, **keys: Any) -> dict[str, Any]:
    """A file or directory of the host, for `App.mount` and in a manifest's list of mounts; `keys` are those
    of a [[mount]]: mode, hide, revocable …"""
    return {"host": path, **keys}


def memory(size: int | str, **keys: Any) -> dict[str, Any]:
    """An empty writable directory in memory, of at most this size: bytes, or "64M"."""
    return {"memory": size, **keys}


async def mount_what(
    grants: Grants, at: str, what: Grant | Node | Mapping[str, Any], keys: Mapping[str, Any]
) -> Grant:
    """Mount it; see `App.mount`."""
    if isinstance(what, Grant):
        if unknown := keys.keys() - {"read_only", "hide", "only"}:
            raise ManifestError(f"a grant is narrowed by read_only, hide and only, not by {min(unknown)}")
        narrowing = Narrowing.asked(keys.get("read_only", False), keys.get("hide", ()), keys.get("only", ()))
        return await grants.mount_grant(at, what, narrowing)
    from libos.manifest import from_mapping

    said = dict(what) if isinstance(what, Mapping) else {"node": what}
    manifest = from_mapping({"mount": [{"at": at, **said, **keys}]})
    return await grants.mount(replace(manifest.mounts[0], origin="mounted while running"))
