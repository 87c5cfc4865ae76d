"""The files of /mnt/ns that a manifest asks for with `introspect` and `control`. Pure."""

from __future__ import annotations

from libos.manifest.model import Manifest
from libos.namespace import Mount, WorldSource

# Where an app sees and changes its own world. Plan 9 has /proc/n/ns; here /proc is the kernel's.
PLACE = "/mnt/ns"
INTROSPECT = (
    *("ns", "policy", "policy.json", "denials", "denials.json", "beancounters"),
    *("notices", "repossessed"),
)
CONTROL = ("ctl",)


def introspection_mounts(manifest: Manifest) -> list[Mount]:
    """A mount for each file."""
    names = (
        *(INTROSPECT if manifest.app.introspect else ()),
        *(CONTROL if manifest.app.control else ()),
    )
    return [Mount(f"{PLACE}/{name}", WorldSource(f"ns/{name}"), origin="libos") for name in names]
